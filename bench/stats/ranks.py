"""Ranks of several rows by their mean on shared images: positions, and simultaneous confidence sets from paired tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.stats.paired import holm, pairwise_p

LEVEL = 0.05


def positions(values: Sequence[float]) -> list[int]:
    """The position of each value: one more than the number of higher ones; equal values share it."""
    rounded = np.round(np.asarray(values, dtype=float), 12)
    return [int(count) + 1 for count in (rounded[None, :] > rounded[:, None]).sum(axis=1)]


def rank_intervals(shares: np.ndarray, level: float = LEVEL) -> list[tuple[int, int]]:
    """The best and the worst rank of each row that paired tests leave open; with probability 1 - `level`, all are right at once.

    Of m rows, the rank of one lies between `1 + (rows found better)` and `m - (rows found worse)`. A row is found better by a
    two-sided test, Holm-corrected over all pairs, or because it is better than a third that is better. The intervals are all
    right unless a test is wrong. Rows that are equal share their ranks, and each interval holds all of them.

    References:
        Inference for Ranks with Applications to Mobility across Neighbourhoods and Academic Achievement across Countries
        (Mogstad, Romano, Shaikh, Wilhelm, 2024)
        https://doi.org/10.1093/restud/drad006
        Simultaneous Confidence Intervals for Ranks with Application to Ranking Institutions (Al Mohamad, Goeman, van Zwet, 2022)
        https://arxiv.org/abs/1812.05507

    Arguments:
        shares: As for `pairwise_p`.
        level: Probability that an interval is wrong, in (0, 1).
    """
    m, found = len(shares), _found_better(shares, level)
    for middle in range(m):
        found |= np.outer(found[:, middle], found[middle])
    np.fill_diagonal(found, False)
    low, high = found.sum(axis=1) + 1, m - found.sum(axis=0)
    # tests on different images can contradict each other, and then a row may be found both better and worse than another
    return [(min(one, other), max(one, other)) for one, other in zip(low.tolist(), high.tolist(), strict=True)]


def _found_better(shares: np.ndarray, level: float) -> np.ndarray:
    """Whether the column's row is significantly better than the row's, `(m, m)`."""
    m = len(shares)
    lower = np.tril_indices(m, -1)
    apart = np.zeros((m, m), dtype=bool)
    apart[lower] = np.asarray(holm(pairwise_p(shares)[lower]), dtype=float) < level
    present = ~np.isnan(shares)
    filled, mask = np.where(present, shares, 0.0), present.astype(float)
    ahead = mask @ filled.T - filled @ mask.T > 0  # the column's mean is larger than the row's, on common images
    return (apart | apart.T) & ahead
