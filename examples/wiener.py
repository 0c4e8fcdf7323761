"""An example score model: any object with `denoise(y, sigma)`. It is a module so that the run can move it to its device."""

import torch
from torch import Tensor, nn


class Wiener(nn.Module):
    """`E[x | y]` for Gaussian images whose power falls with frequency as `power / (1 + (f / corner)^2)`.

    References:
        Extrapolation, Interpolation, and Smoothing of Stationary Time Series (Wiener, 1949)
    """

    def __init__(self, *, size: int, mean: float, power: float, corner: float) -> None:
        super().__init__()
        f = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size))
        self.mean = mean
        self.register_buffer("power", power / (1 + (f / corner) ** 2))

    def denoise(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        """Each frequency keeps the share `P / (P + sigma^2)`, for noise of `sigma` pixel units, one or one per image."""
        noise = torch.as_tensor(sigma, dtype=y.dtype, device=y.device).reshape(-1, 1, 1, 1) ** 2
        kept = self.power / (self.power + noise)
        return self.mean + torch.fft.irfft2(kept * torch.fft.rfft2(y - self.mean), s=y.shape[2:])


def wiener(*, size: int = 28, mean: float = 0.286, power: float = 9.0, corner: float = 0.03) -> Wiener:
    """Called by `--score-model examples/wiener.py:wiener` with the arguments of `-S`; the defaults are guesses for Fashion-MNIST."""
    return Wiener(size=size, mean=mean, power=power, corner=corner)
