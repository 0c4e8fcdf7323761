"""Black or white pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.noise import Noise
from bench.protocols import Images


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Sets each pixel to 1 above a level and to 0 otherwise: a strong baseline on data like MNIST; not differentiable.

    References:
        Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks (Xu, Evans, Qi, 2018)
        https://arxiv.org/abs/1704.01155

    Arguments:
        level: The level, pixel units.
    """

    deterministic: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False

    level: float = 0.5

    def purify(self, x: Images, noise: Noise) -> Images:
        """The binary images."""
        return (x > self.level).to(x.dtype)
