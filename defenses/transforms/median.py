"""The median of each pixel's neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from bench.errors import UserError
from bench.noise import Noise
from bench.protocols import Images


@dataclass(frozen=True, kw_only=True)
class Median:
    """Replaces each pixel by the median of a square around it, edges repeated; differentiable where no two pixels are equal.

    References:
        Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks (Xu, Evans, Qi, 2018)
        https://arxiv.org/abs/1704.01155

    Arguments:
        size: Side of the square in pixels, odd, at least 1.

    Raises:
        UserError: `size` is even or below 1.
    """

    deterministic: ClassVar[bool] = True

    size: int = 3

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise UserError("median-size", size=self.size)

    def purify(self, x: Images, noise: Noise) -> Images:
        """The filtered images."""
        edge = self.size // 2
        padded = F.pad(x, (edge, edge, edge, edge), mode="replicate")
        return padded.unfold(2, self.size, 1).unfold(3, self.size, 1).flatten(4).median(dim=4).values
