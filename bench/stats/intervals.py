"""Confidence intervals of accuracies: proportions, means over draws with images as clusters, paired differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.stats.lattice import resampled_mean

CONFIDENCE = 0.95
Z = 1.959963984540054
RESAMPLES = 2_000


@dataclass(frozen=True)
class Interval:
    """A share, or a difference of shares, with its 95 % interval.

    Arguments:
        value: The share, in [0, 1]; a difference, in [-1, 1].
        low: Lower end.
        high: Upper end.
        successes: The numerator: a count, or a sum of shares for a stochastic defense.
        n: Number of images.
        method: `wilson`, `clopper-pearson`, `bootstrap` or `agresti-min`.
    """

    value: float
    low: float
    high: float
    successes: float
    n: int
    method: str

    def as_dict(self) -> dict:
        """The interval as JSON."""
        return dict(vars(self))

    def __str__(self) -> str:
        """`51.0 % [41.3, 60.6]`."""
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def proportion(successes: int, n: int) -> Interval:
    """Wilson's interval; at 0 and 100 %, where it is too short, Clopper and Pearson's.

    References:
        Interval Estimation for a Binomial Proportion (Brown, Cai, DasGupta, 2001)
        https://doi.org/10.1214/ss/1009213286

    Raises:
        ValueError: `n` is below 1 or `successes` outside 0..n.
    """
    if successes in (0, n):
        return clopper_pearson(successes, n)
    _check(successes, n)
    low, high = _wilson(successes / n, n)
    return Interval(successes / n, low, high, successes, n, "wilson")


def clopper_pearson(successes: int, n: int) -> Interval:
    """Clopper and Pearson's interval, whose coverage is at least 95 %.

    References:
        The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial (Clopper, Pearson, 1934)
        https://doi.org/10.1093/biomet/26.4.404

    Raises:
        ValueError: `n` is below 1 or `successes` outside 0..n.
    """
    from scipy.special import betaincinv

    _check(successes, n)
    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return Interval(successes / n, low, high, successes, n, "clopper-pearson")


def lower_bound(successes: int, n: int, alpha: float) -> float:
    """Clopper and Pearson's one-sided lower bound of a share, at level `alpha`.

    References:
        The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial (Clopper, Pearson, 1934)
        https://doi.org/10.1093/biomet/26.4.404
    """
    from scipy.stats import beta

    return float(beta.ppf(alpha, successes, n - successes + 1)) if successes else 0.0


def mean_share(shares: np.ndarray) -> Interval:
    """Mean of the images' shares of correct draws.

    If all shares are 0 or 1, the interval of a proportion; otherwise a bootstrap over images.

    Arguments:
        shares: Shape `(n,)`, in [0, 1].
    """
    total = float(shares.sum())
    if ((shares == 0) | (shares == 1)).all():
        return proportion(round(total), len(shares))
    low, high = _bootstrap(shares)
    return Interval(total / len(shares), low, high, total, len(shares), "bootstrap")


def mean_difference(a: np.ndarray, b: np.ndarray) -> Interval:
    """Mean of `a - b` over the same images, with its interval.

    For shares of 0 and 1, Agresti and Min's interval: half an image is added to each cell of the table before Wald's
    formula. Otherwise a bootstrap over images.

    References:
        Simple improved confidence intervals for comparing matched proportions (Agresti, Min, 2005)
        https://doi.org/10.1002/sim.1781

    Arguments:
        a: Shares of correct draws per image, shape `(n,)`.
        b: Those of the other defense on the same images.
    """
    difference, n = a - b, len(a)
    total = float(difference.sum())
    if np.isin(difference, (-1.0, 0.0, 1.0)).all():
        discordant, m = int(np.abs(difference).sum()), n + 2
        centre, half = total / m, Z * np.sqrt(discordant + 1 - total**2 / m) / m
        low, high = max(-1.0, centre - half), min(1.0, centre + half)
        return Interval(total / n, float(low), float(high), total, n, "agresti-min")
    low, high = _bootstrap(difference)
    return Interval(total / n, low, high, total, n, "bootstrap")


def _check(successes: int, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"n must be at least 1 and successes in 0..n, got {successes} of {n}")


def _bootstrap(values: np.ndarray) -> tuple[float, float]:
    """Percentile interval of the mean over resampled images: exact on a lattice, else sampled with a fixed seed."""
    tail = (1 - CONFIDENCE) / 2
    ends = resampled_mean(values, (tail, 1 - tail)) or np.quantile(_resampled(values), (tail, 1 - tail))
    low, high = float(ends[0]), float(ends[1])
    if low < high:
        return low, high
    mean = float(values.mean())  # all values are equal, so that all resamples are
    low, high = _wilson(abs(mean), len(values))
    return (low, high) if mean >= 0 else (-high, -low)


def _resampled(values: np.ndarray) -> list[float]:
    generator, n = np.random.Generator(np.random.Philox(key=0)), len(values)
    return [float(values[generator.integers(n, size=n)].mean()) for _ in range(RESAMPLES)]


def _wilson(p: float, n: int) -> tuple[float, float]:
    """Ends of Wilson's interval for a share `p`, which may be any fraction."""
    centre, half = (p + Z * Z / (2 * n)), Z * (p * (1 - p) / n + Z * Z / (4 * n * n)) ** 0.5
    return (centre - half) / (1 + Z * Z / n), (centre + half) / (1 + Z * Z / n)
