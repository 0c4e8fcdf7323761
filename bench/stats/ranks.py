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

    Of m rows, the rank of one lies between `1 + (rows found better)` and `m - (rows found worse)`. It is right unless a test of
    two rows finds the wrong one better; Holm's correction over all pairs bounds the probability of any such error.

    References:
        Inference for Ranks with Applications to Mobility across Neighbourhoods and Academic Achievement across Countries
        (Mogstad, Romano, Shaikh, Wilhelm, 2024)
        https://doi.org/10.1093/restud/drad006

    Arguments:
        shares: As for `pairwise_p`.
        level: Probability that an interval is wrong, in (0, 1).
    """
    m = len(shares)
    lower = np.tril_indices(m, -1)
    apart = np.zeros((m, m), dtype=bool)
    apart[lower] = np.asarray(holm(pairwise_p(shares)[lower]), dtype=float) < level
    apart |= apart.T
    present = ~np.isnan(shares)
    filled, mask = np.where(present, shares, 0.0), present.astype(float)
    ahead = mask @ filled.T - filled @ mask.T > 0  # the column's mean is larger than the row's, on common images
    better, worse = (apart & ahead).sum(axis=1), (apart & ahead.T).sum(axis=1)
    return [(int(low) + 1, m - int(high)) for low, high in zip(better, worse, strict=True)]
