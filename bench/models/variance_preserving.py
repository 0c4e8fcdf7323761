"""Noise predictors of the variance-preserving kind (DDPM) as denoisers at any noise level."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.errors import UserError
from bench.models.networks.preconditioning import levels_of

PREDICTIONS = ("epsilon", "v_prediction", "sample")


class VariancePreservingDenoiser(nn.Module):
    """Turns a network trained on `x_t = sqrt(a_t) x + sqrt(1 - a_t) n`, x in [-1, 1], into `denoise(y, sigma) -> E[x | y]`.

    For `y = x + sigma n` in pixel units: `s = 2 sigma` is the noise level in [-1, 1], `a = 1 / (1 + s^2)`, the network is shown
    `sqrt(a) (2 y - 1)` at the time t at which the schedule has this signal-to-noise ratio (t interpolated linearly in its
    logarithm), and with its noise estimate e: `D(y) = y - sigma e`. Below the schedule's smallest level `s_0` the score
    there is used: `D(y) = y - sigma (s / s_0) e`. Attention runs on the kernel that has second derivatives.

    References:
        Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020)
        https://arxiv.org/abs/2006.11239

    Arguments:
        network: Maps images `(B, C, H, W)` and times `(B,)` to tensors of the same shape (diffusers: to a tuple of one); of
            twice as many channels the first half is taken, the other being a learned variance.
        kept: The share `a_t` of the signal's variance at each time 0..T-1, falling, `(T,)`; float64, since its rounding counts.
        prediction: What the network predicts: `epsilon`, `v_prediction` (`sqrt(a) n - sqrt(1 - a) x`), or `sample` (`x`).
        image_shape: The shape `(C, H, W)` the network was trained on; None if it takes any.

    Raises:
        UserError: Another kind of prediction, or a schedule that does not fall within (0, 1).
    """

    def __init__(
        self,
        network: nn.Module,
        kept: Tensor,
        *,
        prediction: str = "epsilon",
        image_shape: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__()
        if prediction not in PREDICTIONS:
            raise UserError(
                f"expected a prediction among {', '.join(PREDICTIONS)}, got {prediction!r}; use another model"
            )
        if len(kept) < 2 or not bool((kept.diff() < 0).all()) or not 0 < float(kept[-1]) < float(kept[0]) < 1:
            raise UserError(
                "expected a schedule whose signal falls within (0, 1), got another one (rescaled to zero terminal signal?); use another model"
            )
        self.network, self.prediction, self.image_shape = network, prediction, image_shape
        self.levels: Tensor
        """Logarithms of the noise levels in [-1, 1] at times 0..T-1: minus half the logarithm of the signal-to-noise ratio."""
        self.register_buffer("levels", (((1 - kept.double()) / kept.double()).log() / 2).float())
        self.high = float(self.levels[-1].exp()) / 2
        """The largest noise level of the schedule, pixel units: a number, so that no call has to fetch it from a device."""

    def denoise(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        """The expected clean image given a noisy one.

        Arguments:
            y: Noisy images, shape `(B, C, H, W)`, pixel units.
            sigma: Noise level in pixel units, a number or shape `(B,)`.

        Raises:
            UserError: `sigma` is a number that is not positive or above the schedule's largest, or images of another shape.
        """
        if isinstance(sigma, float | int) and not 0 < sigma <= self.high:
            raise UserError(
                f"this score model expects sigma in (0, {self.high:.4g}], got {sigma:g}; choose another sigma or another --score-model"
            )
        if self.image_shape and tuple(y.shape[1:]) != tuple(self.image_shape):
            raise UserError(
                f"this score model expects images of shape {tuple(self.image_shape)}, got {tuple(y.shape[1:])}; choose another --score-model"
            )
        return self(y, levels_of(sigma, y, self.levels.dtype))

    def forward(self, y: Tensor, sigma: Tensor) -> Tensor:
        """`denoise` for noise levels of shape `(B,)` or `(1,)`, without the checks."""
        wanted = (2 * sigma.to(self.levels)).expand(len(y))
        level = torch.maximum(wanted, self.levels[0].exp())
        shown = _column(1 / (1 + level**2).sqrt(), y) * (2 * y - 1)
        noise = self._noise(self.predict(shown, self.time(level)), shown, level)
        return y - _column(wanted**2 / level / 2, y) * noise

    def predict(self, x: Tensor, time: Tensor) -> Tensor:
        """What the network says of noisy images `(B, C, H, W)` in [-1, 1] at times `(B,)`, which may be fractions."""
        with sdpa_kernel(SDPBackend.MATH):
            said = self.network(x, time.to(x.dtype))
        said = said if isinstance(said, Tensor) else said[0]
        return said[:, : x.shape[1]]

    def noised(self, x: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        """Images in [0, 1] at whole times `(B,)` of the schedule: `sqrt(a_t) (2 x - 1) + sqrt(1 - a_t) n`."""
        level = _column(self.levels[time], x)
        return (-2 * level).sigmoid().sqrt() * (2 * x - 1) + (2 * level).sigmoid().sqrt() * noise

    def time(self, level: Tensor) -> Tensor:
        """The time, a fraction in [0, T - 1], at which the schedule has these noise levels (units of [-1, 1]), shape `(B,)`."""
        wanted = level.to(self.levels).log().clamp(self.levels[0], self.levels[-1])
        right = torch.searchsorted(self.levels, wanted).clamp(1, len(self.levels) - 1)
        low, high = self.levels[right - 1], self.levels[right]
        return right - 1 + (wanted - low) / (high - low)

    def _noise(self, said: Tensor, shown: Tensor, level: Tensor) -> Tensor:
        if self.prediction == "epsilon":
            return said
        signal = 1 / (1 + level**2).sqrt()
        kept, rest = _column(signal, shown), _column(level * signal, shown)
        return (shown - kept * said) / rest if self.prediction == "sample" else kept * said + rest * shown


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.dtype).view(-1, 1, 1, 1)
