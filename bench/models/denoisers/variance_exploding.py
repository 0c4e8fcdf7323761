"""Denoisers made from variance-exploding score networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.models.denoisers.converted import ConvertedDenoiser, column


class VarianceExplodingDenoiser(ConvertedDenoiser):
    """Turns a score `s(y, sigma)` of noisy images, images in [0, 1], into `D(y) = y + sigma^2 s(y, sigma)` (Tweedie).

    Unlike most, these networks are trained on images in [0, 1], so that no noise level is doubled. Below the smallest level
    the score at that level is used.

    References:
        Score-Based Generative Modeling through Stochastic Differential Equations (Song et al., 2021)
        https://arxiv.org/abs/2011.13456

    Arguments:
        network: A network as in `ConvertedDenoiser`; its time is sigma.
        smallest: Smallest noise level it was trained for, pixel units (`sigma_min`).
        largest: Largest one (`sigma_max`).
        image_shape: The shape `(C, H, W)` the network was trained on; None if it takes any.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        smallest: float = 0.01,
        largest: float = 1348.0,
        image_shape: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__(network, ("smallest", torch.tensor(float(smallest))), high=largest, image_shape=image_shape)
        self.smallest: Tensor

    def forward(self, y: Tensor, sigma: Tensor) -> Tensor:
        """`denoise` for noise levels of shape `(B,)` or `(1,)`, without the checks."""
        level = sigma.to(self.smallest).expand(len(y))
        return y + column(level**2, y) * self.predict(y, torch.maximum(level, self.smallest))
