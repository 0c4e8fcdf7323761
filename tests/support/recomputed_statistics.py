"""Statistics of shares by other means than the package's: statsmodels, scipy, and whole distributions by convolution."""

from fractions import Fraction
from math import lcm, sqrt
from unittest.mock import patch

import numpy as np
from scipy.stats import binomtest, norm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

TAIL = 0.025
LEAST_P = 1e-12


def share_interval(shares):
    """The mean of fractions in [0, 1] with its 95 % interval, as a board's JSON has it."""
    total, n = sum(shares), len(shares)
    if all(share in (0, 1) for share in shares):
        method = "beta" if total in (0, n) else "wilson"
        low, high = proportion_confint(int(total), n, 2 * TAIL, method)
        return _interval(total, n, low, high, {"beta": "clopper-pearson", "wilson": "wilson"}[method])
    low, high = _resampled(shares)
    if low == high:  # all alike: no resampling tells them apart
        low, high = proportion_confint(float(total), n, 2 * TAIL, "wilson")
    return _interval(total, n, low, high, "bootstrap")


def difference_interval(a, b):
    """The mean of `a - b` on the same images, likewise; Agresti and Min's where each difference is -1, 0 or 1."""
    differences = [one - other for one, other in zip(a, b, strict=True)]
    total, n = sum(differences), len(differences)
    if all(part in (-1, 0, 1) for part in differences):
        won, lost = differences.count(1) + 0.5, differences.count(-1) + 0.5
        centre = (won - lost) / (n + 2)
        half = norm.ppf(1 - TAIL) * sqrt(((won + lost) / (n + 2) - centre**2) / (n + 2))
        return _interval(total, n, max(-1.0, centre - half), min(1.0, centre + half), "agresti-min")
    low, high = _resampled(differences)
    if low == high:
        size = proportion_confint(float(abs(total)), n, 2 * TAIL, "wilson")
        low, high = size if total > 0 else (-size[1], -size[0])
    return _interval(total, n, low, high, "bootstrap")


def paired(a, b):
    """Two-sided p of `a = b` on the same images: the binomial test of the discordant ones, else all signs of the differences."""
    differences = [one - other for one, other in zip(a, b, strict=True) if one != other]
    if not differences:
        return 1.0
    if all(abs(part) == 1 for part in differences):
        return binomtest(differences.count(1), len(differences)).pvalue
    steps = lcm(*(part.denominator for part in differences))
    sums = np.ones(1)
    for part in differences:
        size = abs(int(part * steps))
        shifted = np.zeros(len(sums) + 2 * size)
        shifted[: len(sums)] += sums / 2
        shifted[2 * size :] += sums / 2
        sums = shifted
    reach = len(sums) // 2
    observed = abs(int(sum(differences) * steps))
    outside = np.abs(np.arange(len(sums)) - reach) >= observed
    return min(1.0, max(LEAST_P, float(sums[outside].sum())))


def holm(values):
    """Holm's correction."""
    with patch("gc.collect"):  # statsmodels calls it each time, a second where many records are in memory
        return multipletests(values, method="holm")[1].tolist() if values else []


def _interval(total, n, low, high, method):
    return {
        "value": float(Fraction(total) / n), "low": float(low), "high": float(high), "successes": float(total), "n": n,
        "method": method,
    }  # fmt: skip


def _resampled(values):
    """Quantiles of the mean of as many values drawn with replacement: the whole distribution of their sum."""
    steps, n = lcm(*(Fraction(value).denominator for value in values)), len(values)
    levels = [int(value * steps) for value in values]
    lowest = min(levels)
    single = np.bincount([level - lowest for level in levels]) / n
    sums, power, rest = np.ones(1), single, n
    while rest:
        if rest & 1:
            sums = np.convolve(sums, power)
        rest >>= 1
        power = np.convolve(power, power) if rest else power
    below = np.cumsum(sums)
    return tuple((int(np.searchsorted(below, tail - 1e-12)) + n * lowest) / (n * steps) for tail in (TAIL, 1 - TAIL))
