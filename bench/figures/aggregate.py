"""Several runs to one figure: the worst attack of each image, several seeds, and repeated submissions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from bench.figures.runs import ROBUST, Run


@dataclass(frozen=True, eq=False)
class PerImage:
    """A share for each image.

    Arguments:
        ids: Sample ids, shape `(n,)`.
        shares: In [0, 1], `(n,)`.
    """

    ids: np.ndarray
    shares: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def on(self, ids: np.ndarray) -> np.ndarray:
        """The shares of these images; NaN for those it lacks."""
        if np.array_equal(ids, self.ids):
            return self.shares
        order = np.argsort(self.ids)
        places = np.minimum(np.searchsorted(self.ids, ids, sorter=order), len(self.ids) - 1)
        rows = order[places]
        return np.where(self.ids[rows] == ids, self.shares[rows], np.nan)


def per_image(run: Run, which: str = ROBUST) -> PerImage:
    """Each image's share of right draws; `which` is `clean` or `adversarial`."""
    return PerImage(run.ids, run.shares(which))


def common_ids(parts: Sequence[PerImage]) -> np.ndarray:
    """The images that all have, in the order of the first."""
    first = parts[0].ids
    if all(np.array_equal(first, part.ids) for part in parts[1:]):
        return first
    return first[np.isin(first, reduce(np.intersect1d, [part.ids for part in parts]))]


def worst_case(parts: Sequence[PerImage], ids: np.ndarray | None = None) -> PerImage:
    """For each image, its smallest share of right draws among the attacks that have it.

    Arguments:
        parts: The attacks.
        ids: The images, of which those that no attack has are left out; None for those that all have.
    """
    ids = common_ids(parts) if ids is None else ids
    shares = np.array([part.on(ids) for part in parts])
    faced = ~np.isnan(shares).all(axis=0)
    return PerImage(ids[faced], np.nanmin(shares[:, faced], axis=0))


def never_rising(parts: Sequence[PerImage]) -> list[PerImage]:
    """For each part, the smallest share of it and all parts before, on the images that all parts have.

    Over growing balls: an adversarial image of a small ball lies in every larger one, so an image broken there is broken here.

    Arguments:
        parts: One for each radius, smallest first.
    """
    ids = common_ids(parts)
    lowest = np.minimum.accumulate([part.on(ids) for part in parts], axis=0)
    return [PerImage(ids, shares) for shares in lowest]


def over_seeds(parts: Sequence[PerImage]) -> tuple[PerImage, PerImage, float]:
    """The mean over seeds and the worst seed of each image they share, and the standard deviation of the seeds' accuracies.

    With one seed the deviation is 0.
    """
    ids = common_ids(parts)
    shares = np.array([part.on(ids) for part in parts])
    spread = float(shares.mean(axis=1).std(ddof=1)) if len(parts) > 1 and len(ids) else 0.0
    return PerImage(ids, shares.mean(axis=0)), PerImage(ids, shares.min(axis=0)), spread


def survival(failures: np.ndarray, draws: int) -> np.ndarray:
    """Unbiased chance of each image to survive M fresh submissions, for M = 1 to N: `C(N - f, M) / C(N, M)`, f failures in N draws.

    References:
        The Theory of Unbiased Estimation (Halmos, 1946)
        https://doi.org/10.1214/aoms/1177731020

    Arguments:
        failures: Wrong draws per image, shape `(n,)`.
        draws: N, draws per image.

    Returns:
        Shape `(n, N)`.
    """
    spent = np.arange(draws)
    left = np.maximum(draws - np.asarray(failures)[:, None] - spent, 0)
    return np.cumprod(left / (draws - spent), axis=1)
