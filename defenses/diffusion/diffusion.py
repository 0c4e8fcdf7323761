"""The variance-preserving diffusion of the papers, for score models in pixel units.

The papers use images `z = 2 x - 1` in [-1, 1] and noise them as `z_t = mean z + deviation n`. Divided by `mean`, this is an image
with Gaussian noise of standard deviation `deviation / (2 mean)` in pixel units: the input of a score model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from torch import Tensor

from bench.errors import UserError
from bench.gradient import clamp
from bench.noise import Noise
from bench.protocols import Images, ScoreModel

STEPS = 1000
"""Discrete times of the diffusion; continuous time 1 is discrete time 1000."""
_FIRST, _LAST = 0.1, 20.0
BETAS = tuple((_FIRST + (_LAST - _FIRST) * k / (STEPS - 1)) / STEPS for k in range(STEPS))
"""Noise variance that each discrete step adds."""
_ALPHA_BARS = tuple(accumulate((1 - beta for beta in BETAS), lambda product, kept: product * kept, initial=1.0))


@dataclass(frozen=True)
class Level:
    """A noise level: `z_t = mean z + deviation n` in [-1, 1].

    Arguments:
        mean: Factor of the image.
        deviation: Standard deviation of the noise.
    """

    mean: float
    deviation: float

    @property
    def sigma(self) -> float:
        """The same noise in pixel units, relative to an unscaled image."""
        return self.deviation / self.mean / 2


def discrete(t: int) -> Level:
    """The level after `t` discrete steps, 0 to 1000: `mean^2 = prod (1 - beta_k)`."""
    return Level(math.sqrt(_ALPHA_BARS[t]), math.sqrt(1 - _ALPHA_BARS[t]))


def continuous(t: float) -> Level:
    """The level at continuous time `t`, 0 to 1: `mean^2 = exp(-integral of beta)`."""
    total = _FIRST * t + (_LAST - _FIRST) * t * t / 2
    return Level(math.exp(-total / 2), math.sqrt(-math.expm1(-total)))


def rate(t: float) -> float:
    """`beta(t) = 0.1 + 19.9 t`, the noise variance per unit of continuous time."""
    return _FIRST + (_LAST - _FIRST) * t


def to_signed(x: Images) -> Tensor:
    """Converts pixels in [0, 1] to [-1, 1]."""
    return 2 * x - 1


def to_pixels(z: Tensor) -> Images:
    """Converts [-1, 1] to pixels, clamped to [0, 1]."""
    return clamp((z + 1) / 2)


def noised(z: Tensor, level: Level, n: Tensor) -> Tensor:
    """`mean z + deviation n`."""
    return level.mean * z + level.deviation * n


def clean(score: ScoreModel, z: Tensor, level: Level) -> Tensor:
    """`E[z_0 | z_t]` in [-1, 1] for a noised `z`."""
    return 2 * denoised(score, (z / level.mean + 1) / 2, level.sigma) - 1


def score_of(score: ScoreModel, z: Tensor, level: Level) -> Tensor:
    """The gradient of the log-density of `z_t`: `(mean E[z_0 | z_t] - z_t) / deviation^2`."""
    return (level.mean * clean(score, z, level) - z) / level.deviation**2


def denoised(score: ScoreModel, y: Tensor, sigma: float) -> Tensor:
    """`E[x | y]` in pixel units; below the lowest noise level of the score model, the score at that level is used.

    With `s(y) = (D(y, low) - y) / low^2` this is `y + sigma^2 s(y)`. The attribute `low` of a score model gives its lowest level;
    a model without it is evaluated at any level.
    """
    low = lowest(score)
    return score.denoise(y, sigma) if sigma >= low else y + (sigma / low) ** 2 * (score.denoise(y, low) - y)


def lowest(score: ScoreModel) -> float:
    """The lowest noise level that a score model supports, pixel units; 0 if it names none."""
    return getattr(score, "low", 0.0)


def between(t: int, steps: int, k: int) -> tuple[int, int]:
    """The discrete times at which reverse step `k` of `steps` from time `t` begins and ends."""
    here, there = (round((steps - j) * t / steps) for j in (k, k + 1))
    return here, there


def check_times(t: int, steps: int, votes: int, *, most: int = STEPS) -> None:
    """Raises `UserError` if the time, the number of reverse steps or the number of votes is out of its range."""
    if not 1 <= t <= STEPS or not 1 <= steps <= most or votes < 1:
        raise UserError("diffusion-arguments", longest=STEPS, most=most, t=t, steps=steps, votes=votes)


def units(t: int, score: ScoreModel) -> str:
    """A discrete time in pixel units, as text for the record."""
    level, low = discrete(t), lowest(score)
    held = f"; below sigma {low:g} the score is held at that level" if low else ""
    return (
        f"t={t} of {STEPS} is noise of sigma {level.sigma:.4f} in pixel units ({2 * level.sigma:.4f} in [-1, 1]){held}"
    )


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """The common part of purifiers that noise an image up to a time and denoise it in steps of one score-model pass each.

    Arguments:
        score: The denoiser.
        t: Discrete time to which the image is noised, 1 to 1000.
        steps: Reverse steps, at least 1.
        votes: Purifications whose class probabilities are averaged.

    Raises:
        UserError: An argument is out of its range.
    """

    deterministic: ClassVar[bool] = False

    score: ScoreModel
    t: int = 100
    steps: int = 100
    votes: int = 1

    def __post_init__(self) -> None:
        check_times(self.t, self.steps, self.votes)

    @property
    def units(self) -> str:
        """The noise in pixel units."""
        return units(self.t, self.score)

    @property
    def evaluations(self) -> int:
        """Passes of the score model in one purification."""
        return self.steps

    def jump(self, x: Images, noise: Noise) -> Tensor:
        """The images in [-1, 1], noised to time `t`; one draw of noise per image."""
        return noised(to_signed(x), discrete(self.t), noise.normal(x))
