"""The common base of denoisers made from networks of the various conventions of diffusion models."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.errors import UserError
from bench.models.networks.preconditioning import levels_of


class ConvertedDenoiser(nn.Module):
    """A network of another convention as `denoise(y, sigma) -> E[x | y]` for `y = x + sigma n` in pixel units.

    A subclass holds its constants in a buffer, so that they are part of the model's hash, and implements `forward(y, sigma)`.
    Attention runs on the one kernel with second derivatives.

    Arguments:
        network: Maps images `(B, C, H, W)` and times `(B,)` to tensors of the same shape (diffusers: to a tuple of one). With
            twice as many channels the second half, a learned variance, is dropped.
        constants: Name and content of the buffer; noise levels are computed in its dtype.
        high: The largest noise level the network was trained for, pixel units.
        image_shape: The shape `(C, H, W)` the network was trained on; None if it takes any.
    """

    def __init__(
        self,
        network: nn.Module,
        constants: tuple[str, Tensor],
        *,
        high: float,
        image_shape: tuple[int, int, int] | None,
    ) -> None:
        super().__init__()
        self.network, self.image_shape = network, image_shape
        self.constants, content = constants
        self.register_buffer(self.constants, content)
        self.high = high
        """The largest noise level in pixel units; a number, so that no call waits for a device."""

    def denoise(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        """The expected clean image given a noisy one.

        Arguments:
            y: Noisy images, shape `(B, C, H, W)`, pixel units.
            sigma: Noise level in pixel units, a number or shape `(B,)`.

        Raises:
            UserError: `sigma` is a number that is not positive or above the largest, or images of another shape.
        """
        if isinstance(sigma, float | int) and not 0 < sigma <= self.high:
            raise UserError("score-sigma", high=self.high, sigma=sigma)
        if self.image_shape and tuple(y.shape[1:]) != tuple(self.image_shape):
            raise UserError("score-image-shape", wanted=tuple(self.image_shape), got=tuple(y.shape[1:]))
        return self(y, levels_of(sigma, y, self.get_buffer(self.constants).dtype))

    def predict(self, x: Tensor, time: Tensor) -> Tensor:
        """The output of the network for images `(B, C, H, W)` in its own units at times `(B,)`, which may be fractions."""
        with sdpa_kernel(SDPBackend.MATH):
            output = self.network(x, time.to(x.dtype))
        output = output if isinstance(output, Tensor) else output[0]
        return output[:, : x.shape[1]]


def column(values: Tensor, like: Tensor) -> Tensor:
    """Reshapes one value per image, `(B,)`, to `(B, 1, 1, 1)` with the dtype of the images `like`."""
    return values.to(like.dtype).view(-1, 1, 1, 1)
