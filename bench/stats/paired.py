"""Paired tests on the same images: one pair, all pairs of a table, families of tests, and their power."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.stats.lattice import sign_flip_tail

MOST_EXACT = 1_000
"""Largest number of stochastic pairs tested exactly; larger tables use the normal approximation."""


def paired_p(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided p-value of the hypothesis that two defenses are equally robust on the same images.

    Under the hypothesis, the difference of each image has either sign with probability 1/2. For shares of 0 and 1 this
    is McNemar's exact test; otherwise it is the exact permutation test of the mean difference.

    References:
        Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages (McNemar, 1947)
        https://doi.org/10.1007/BF02295996

    Arguments:
        a: Shares of correct draws per image, shape `(n,)`.
        b: Those of the other defense on the same images.
    """
    difference = a - b
    different = difference[np.abs(difference) > 1e-12]
    if not len(different):
        return 1.0
    if (np.abs(different) == 1).all():
        return float(mcnemar_p((different > 0).sum(), (different < 0).sum()))
    exact = sign_flip_tail(different)
    return exact if exact is not None else float(_normal_p(different.sum(), (different**2).sum()))


def mcnemar_p(only_a: np.ndarray | int, only_b: np.ndarray | int) -> np.ndarray:
    """McNemar's two-sided exact p-value from the numbers of images that only one of two gets right, elementwise."""
    from scipy.special import bdtr

    only_a, only_b = np.asarray(only_a), np.asarray(only_b)
    return np.minimum(1.0, 2 * bdtr(np.minimum(only_a, only_b).astype(float), (only_a + only_b).astype(int), 0.5))


def pairwise_p(shares: np.ndarray) -> np.ndarray:
    """`paired_p` of all pairs of rows, shape `(m, m)`, 1 on the diagonal.

    Arguments:
        shares: Shares of correct draws, `(m, n)`; NaN for missing images, which are left out of the row's pairs.
    """
    present = ~np.isnan(shares)
    filled, mask = np.where(present, shares, 0.0), present.astype(float)
    sums = filled @ mask.T - mask @ filled.T
    squares = (filled**2) @ mask.T + mask @ (filled**2).T - 2 * filled @ filled.T
    p = _normal_p(sums, np.maximum(squares, 0))
    binary = ((filled == 0) | (filled == 1)).all(axis=1)
    both = np.outer(binary, binary)
    only_a = np.rint((squares + sums) / 2).astype(int)
    only_b = np.rint((squares - sums) / 2).astype(int)
    p[both] = mcnemar_p(only_a[both], only_b[both])
    others = [(i, j) for i in range(len(shares)) for j in range(i) if not both[i, j]]
    for i, j in others if len(others) <= MOST_EXACT else ():
        common = present[i] & present[j]
        p[i, j] = p[j, i] = paired_p(shares[i, common], shares[j, common])
    np.fill_diagonal(p, 1.0)
    return p


def holm(values: Sequence[float] | np.ndarray) -> list[float]:
    """Holm's step-down correction of a family of p-values.

    References:
        A Simple Sequentially Rejective Multiple Test Procedure (Holm, 1979)
        https://www.jstor.org/stable/4615733
    """
    p = np.asarray(values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(steps) if len(p) else steps
    return corrected.tolist()


def power(n: int, change: float, discordance: float, *, alpha: float = 0.01, margin: float = 0.01) -> float:
    """Probability that a gate on n images detects a change: McNemar's p below `alpha`, and more than `margin`.

    The sum runs over the number of images that change, and the number of those that get worse.

    Arguments:
        n: Number of images.
        change: The true change of the accuracy, in (0, 1].
        discordance: Share of images that change in either direction, at least `change`.
        alpha: Two-sided level.
        margin: Changes up to this size do not count, in [0, 1].
    """
    from scipy.special import gammaln, xlogy

    if discordance < change:
        raise ValueError(f"discordance must be at least the change, got {discordance} and {change}")
    total = np.arange(n + 1)
    chosen = gammaln(n + 1) - gammaln(total + 1) - gammaln(n - total + 1)
    weight = np.exp(chosen + xlogy(total, discordance) + xlogy(n - total, 1 - discordance))
    share, caught = (discordance + change) / (2 * discordance), 0.0
    for m in total[weight > 1e-13]:
        worse = np.arange(m + 1)
        hit = (mcnemar_p(worse, m - worse) < alpha) & (np.abs(2 * worse - m) > margin * n + 1e-9)
        inner = gammaln(m + 1) - gammaln(worse + 1) - gammaln(m - worse + 1)
        caught += weight[m] * float(np.exp(inner + xlogy(worse, share) + xlogy(m - worse, 1 - share))[hit].sum())
    return caught


def _normal_p(sums: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Normal approximation of the sign-flip test: the sum has variance `squares`."""
    from scipy.special import ndtr

    spread = np.sqrt(np.where(squares > 1e-12, squares, 1.0))
    return np.where(squares > 1e-12, 2 * ndtr(-np.abs(sums) / spread), 1.0)
