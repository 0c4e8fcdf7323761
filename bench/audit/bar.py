"""When a comparison of two attacks is evidence against a number, and when it is chance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.stats.intervals import Interval, mean_difference
from bench.stats.paired import paired_p

ALLOWED = 0.02
"""Share of images that may violate an order: attacks are heuristics, and no two break exactly the same images."""
LEVEL = 0.01
CLEAR = 0.5
"""Least difference of an image's shares of right draws that counts as a violation; with one draw the difference is 0 or 1."""
WORDS = "violations above 2 % of the images and an exact test below p = .01"


@dataclass(frozen=True)
class Order:
    """The comparison of an attack that should be stronger with one that should be weaker, on the same images.

    Arguments:
        n: Number of images.
        violations: Images that the weaker attack broke and the stronger did not.
        p: Exact binomial p-value that the share of such images is at most 2 %.
        gain: Accuracy under the stronger minus accuracy under the weaker: above 0, the weaker one broke more.
        p_gain: One-sided exact p-value (random signs of the images' differences) that the gain is at most 0.
    """

    n: int
    violations: int
    p: float
    gain: Interval
    p_gain: float

    @property
    def broken(self) -> bool:
        """Whether the order does not hold: by single images, or on average."""
        by_image = self.violations > ALLOWED * self.n and self.p < LEVEL
        return by_image or (self.gain.value > ALLOWED and self.p_gain < LEVEL)

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON."""
        return asdict(self)


def order(strong: np.ndarray, weak: np.ndarray) -> Order:
    """Compares the shares of right draws per image, each `(n,)`, in [0, 1]."""
    n, violations = len(strong), int((strong - weak >= CLEAR).sum())
    gain = mean_difference(strong, weak)
    return Order(n, violations, exceeds(violations, n, ALLOWED), gain, _one_sided(strong, weak, gain.value))


def exceeds(count: int, n: int, share: float) -> float:
    """Exact binomial p-value of at least `count` of `n` images, if each has at most this chance."""
    from scipy.stats import binom

    return float(binom.sf(count - 1, n, share))


def power(n: int, share: float, allowed: float) -> float:
    """The probability that `exceeds` is below `LEVEL` for `n` images if each has this chance."""
    from scipy.stats import binom

    least = next((count for count in range(n + 1) if exceeds(count, n, allowed) < LEVEL), n + 1)
    return float(binom.sf(least - 1, n, share))


def _one_sided(strong: np.ndarray, weak: np.ndarray, gain: float) -> float:
    half = paired_p(strong, weak) / 2
    return half if gain > 0 else 1 - half
