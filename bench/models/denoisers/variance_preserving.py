"""Denoisers at any noise level, made from variance-preserving networks (DDPM)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.models.denoisers.converted import ConvertedDenoiser, column

PREDICTIONS = ("epsilon", "v_prediction", "sample")


class VariancePreservingDenoiser(ConvertedDenoiser):
    """Turns a network trained on `x_t = sqrt(a_t) x + sqrt(1 - a_t) n`, x in [-1, 1], into `denoise(y, sigma) -> E[x | y]`.

    For `y = x + sigma n` in pixel units, `s = 2 sigma` is the noise level in [-1, 1] and `a = 1 / (1 + s^2)`. The network gets
    `sqrt(a) (2 y - 1)` at the time t at which the schedule has this signal-to-noise ratio (t is interpolated linearly in the
    logarithm of the ratio). With its noise estimate e: `D(y) = y - sigma e`. Below the schedule's smallest level `s_0` the score
    at that level is used: `D(y) = y - sigma (s / s_0) e`.

    References:
        Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020)
        https://arxiv.org/abs/2006.11239

    Arguments:
        network: A network as in `ConvertedDenoiser`.
        kept: The share `a_t` of the signal's variance at each time 0..T-1, falling, `(T,)`; float64, since its rounding matters.
        prediction: The kind of prediction: `epsilon`, `v_prediction` (`sqrt(a) n - sqrt(1 - a) x`), or `sample` (`x`).
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
        if prediction not in PREDICTIONS:
            raise UserError("vp-prediction", predictions=PREDICTIONS, prediction=prediction)
        if len(kept) < 2 or not bool((kept.diff() < 0).all()) or not 0 < float(kept[-1]) < float(kept[0]) < 1:
            raise UserError("vp-schedule")
        levels = ((1 - kept.double()) / kept.double()).log() / 2
        high = float(levels.float()[-1].exp()) / 2
        super().__init__(network, ("levels", levels.float()), high=high, image_shape=image_shape)
        self.prediction = prediction
        self.levels: Tensor
        """Logarithms of the noise levels in [-1, 1] at times 0..T-1: minus half the logarithm of the signal-to-noise ratio."""

    def forward(self, y: Tensor, sigma: Tensor) -> Tensor:
        """`denoise` for noise levels of shape `(B,)` or `(1,)`, without the checks."""
        wanted = (2 * sigma.to(self.levels)).expand(len(y))
        level = torch.maximum(wanted, self.levels[0].exp())
        shown = column(1 / (1 + level**2).sqrt(), y) * (2 * y - 1)
        noise = self._noise(self.predict(shown, self.time(level)), shown, level)
        return y - column(wanted**2 / level / 2, y) * noise

    def noised(self, x: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        """Images in [0, 1] at whole times `(B,)` of the schedule: `sqrt(a_t) (2 x - 1) + sqrt(1 - a_t) n`."""
        level = column(self.levels[time], x)
        return (-2 * level).sigmoid().sqrt() * (2 * x - 1) + (2 * level).sigmoid().sqrt() * noise

    def time(self, level: Tensor) -> Tensor:
        """The time, a fraction in [0, T - 1], at which the schedule has these noise levels (units of [-1, 1]), shape `(B,)`."""
        wanted = level.to(self.levels).log().clamp(self.levels[0], self.levels[-1])
        right = torch.searchsorted(self.levels, wanted).clamp(1, len(self.levels) - 1)
        low, high = self.levels[right - 1], self.levels[right]
        return right - 1 + (wanted - low) / (high - low)

    def _noise(self, output: Tensor, shown: Tensor, level: Tensor) -> Tensor:
        if self.prediction == "epsilon":
            return output
        signal = 1 / (1 + level**2).sqrt()
        kept, rest = column(signal, shown), column(level * signal, shown)
        return (shown - kept * output) / rest if self.prediction == "sample" else kept * output + rest * shown
