"""Black or white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.noise import Noise
from bench.protocols import Images


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Makes each pixel 1 above a level and 0 below: for data such as MNIST, where it is the baseline to beat; not differentiable.

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
