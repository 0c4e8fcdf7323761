"""Denoisers made from networks trained by flow matching."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.models.denoisers.converted import ConvertedDenoiser, column


class FlowDenoiser(ConvertedDenoiser):
    """Turns a velocity `v = n - x` on straight paths `x_t = (1 - t) x + t n`, x in [-1, 1], into `denoise(y, sigma) -> E[x | y]`.

    With `s = 2 sigma` the noise level in [-1, 1] and `t = s / (1 + s)`, `x_t = (1 - t) (2 y - 1)` and
    `2 D(y) - 1 = x_t - t v(x_t, T t)`. The spacing of a sampler's times (`shift`) does not matter.

    References:
        Flow Matching for Generative Modeling (Lipman, Chen, Ben-Hamu, Nickel, Le, 2023)
        https://arxiv.org/abs/2210.02747

    Arguments:
        network: A network as in `ConvertedDenoiser`; its time is `T t`.
        times: The time `T` of pure noise.
        image_shape: The shape `(C, H, W)` the network was trained on; None if it takes any.
    """

    def __init__(
        self, network: nn.Module, *, times: float = 1000.0, image_shape: tuple[int, int, int] | None = None
    ) -> None:
        super().__init__(network, ("times", torch.tensor(float(times))), high=math.inf, image_shape=image_shape)
        self.times: Tensor

    def forward(self, y: Tensor, sigma: Tensor) -> Tensor:
        """`denoise` for noise levels of shape `(B,)` or `(1,)`, without the checks."""
        level = (2 * sigma.to(self.times)).expand(len(y))
        time = level / (1 + level)
        shown = column(1 / (1 + level), y) * (2 * y - 1)
        return (shown - column(time, y) * self.predict(shown, self.times * time) + 1) / 2
