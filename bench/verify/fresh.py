"""Compares fresh draws with the recorded ones: an exact interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVEL = 1e-3
"""Two-sided level: one honest record in a thousand falls outside."""


@dataclass(frozen=True)
class FreshMean:
    """The mean over images of one fresh draw each, and its expected interval.

    Arguments:
        value: Share of images that are right under the fresh draw.
        low: Lower end of the interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the fresh draws agree with the recorded ones."""
        return self.low <= self.value <= self.high


def fresh_mean(recorded: np.ndarray, fresh: np.ndarray) -> FreshMean:
    """Compares one fresh draw per image with the recorded ones.

    If all `k + 1` draws of an image come from the same distribution, each is equally likely to be the fresh one. If `t` of them
    are right, the fresh one is right with probability `t / (k + 1)`. So the number of images with a right fresh draw is a sum of
    independent coins of known bias (Poisson binomial distribution).

    Arguments:
        recorded: Whether each recorded draw was right, bool `(n, k)`.
        fresh: Whether the fresh draw is right, bool `(n,)`.
    """
    n, k = recorded.shape
    biases = (recorded.sum(axis=1) + fresh) / (k + 1)
    below = np.cumsum(_coins(biases))
    # The first count whose lower tail exceeds half of the level, and the first whose upper tail does not.
    low = int(np.searchsorted(below, LEVEL / 2, side="right"))
    high = int(np.searchsorted(below, 1 - LEVEL / 2, side="left"))
    return FreshMean(float(fresh.mean()), low / n, min(high, n) / n)


def _coins(biases: np.ndarray) -> np.ndarray:
    """The distribution of the number of heads of independent coins, `(n + 1,)`."""
    certain = int((biases == 1).sum())
    weights = np.ones(1)
    for bias in biases[(biases > 0) & (biases < 1)]:
        weights = np.convolve(weights, [1 - bias, bias])
    padded = np.zeros(len(biases) + 1)
    padded[certain : certain + len(weights)] = weights
    return padded
