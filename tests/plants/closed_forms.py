"""Defenses whose rates, slopes and noise are known exactly."""

from dataclasses import dataclass
from typing import ClassVar


class Quarter:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return 0.5 + 0.25 * (x - 0.5)


@dataclass(frozen=True, kw_only=True)
class Repeated:
    deterministic: ClassVar[bool] = True
    steps: int = 4
    rate: float = 0.5

    def purify(self, x, noise):
        return 0.5 + self.rate**self.steps * (x - 0.5)


@dataclass(frozen=True, kw_only=True)
class Vanishing(Repeated):
    rate: float = 0.05


class NoisySlope:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        """The value of x and, for the gradient, (1 + n) x."""
        turn = noise.normal(x)
        return x + turn * (x - x.detach())
