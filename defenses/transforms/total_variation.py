"""Total-variation denoising."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.errors import UserError
from bench.gradient import clamp, unroll
from bench.noise import Noise
from bench.protocols import Images


@dataclass(frozen=True, kw_only=True)
class TotalVariation:
    """The minimiser `z` of `||z - x||^2 / 2 + weight TV(z)`, with the isotropic total variation of each channel.

    Projected gradient ascent on the dual: `p <- P(p + grad(x + weight div p) / (8 weight))`, where `P` projects each pixel's vector
    onto the unit disc, and `z = x + weight div p`. Guo et al. also drop random pixels first; this version keeps all pixels, so
    it is deterministic.

    References:
        Nonlinear Total Variation Based Noise Removal Algorithms (Rudin, Osher, Fatemi, 1992)
        https://doi.org/10.1016/0167-2789(92)90242-F
        An Algorithm for Total Variation Minimization and Applications (Chambolle, 2004)
        https://doi.org/10.1023/B:JMIV.0000011325.36760.1e
        Countering Adversarial Images using Input Transformations (Guo, Rana, Cisse, van der Maaten, 2018)
        https://arxiv.org/abs/1711.00117

    Arguments:
        weight: Weight of the total variation, pixel units, greater than 0.
        steps: Dual steps, at least 0.

    Raises:
        UserError: An argument is out of its range.
    """

    deterministic: ClassVar[bool] = True
    provenance: ClassVar[str] = "its defaults are purebench's, chosen on the last 100 test images"

    weight: float = 0.1
    steps: int = 50

    def __post_init__(self) -> None:
        if self.weight <= 0 or self.steps < 0:
            raise UserError("total-variation-arguments", weight=self.weight, steps=self.steps)

    def purify(self, x: Images, noise: Noise) -> Images:
        """The smoothed images."""
        dual = x.new_zeros(2, *x.shape)
        return clamp(x + self.weight * _divergence(unroll(self._step, dual, x, steps=self.steps)))

    def _step(self, dual: Tensor, x: Images) -> Tensor:
        dual = dual + _slopes(x + self.weight * _divergence(dual)) / (8 * self.weight)
        return dual / dual.square().sum(dim=0).clamp_min(1).sqrt()


def _slopes(z: Images) -> Tensor:
    """Differences to the pixel below and to the right, 0 at the border; shape `(2, B, C, H, W)`."""
    down, right = torch.zeros_like(z), torch.zeros_like(z)
    down[..., :-1, :], right[..., :-1] = z.diff(dim=-2), z.diff(dim=-1)
    return torch.stack([down, right])


def _divergence(p: Tensor) -> Images:
    """The negative transpose of `_slopes`."""
    down, right = p[0, ..., :-1, :], p[1, ..., :-1]
    total = torch.zeros_like(p[0])
    total[..., :-1, :] += down
    total[..., 1:, :] -= down
    total[..., :-1] += right
    total[..., 1:] -= right
    return total
