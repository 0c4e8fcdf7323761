"""Intervals and paired tests for accuracies."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A share with its 95 % interval.

    Arguments:
        value: The share, in [0, 1].
        low: Lower end.
        high: Upper end.
        successes: Its numerator (a sum of shares for a stochastic defense).
        n: Number of images.
        method: `wilson`, `clopper-pearson` or `bootstrap`.
    """

    value: float
    low: float
    high: float
    successes: float
    n: int
    method: str

    def as_dict(self) -> dict:
        """The interval as JSON."""
        return asdict(self)


def proportion(successes: int, n: int) -> Interval:
    """Wilson's interval, or Clopper and Pearson's at 0 and 100 %, where Wilson's is too short.

    References:
        Interval Estimation for a Binomial Proportion (Brown, Cai, DasGupta, 2001)
        https://doi.org/10.1214/ss/1009213286

    Raises:
        ValueError: `n` is below 1 or `successes` outside 0..n.
    """
    from scipy.stats import binomtest

    method = "clopper-pearson" if successes in (0, n) else "wilson"
    ci = binomtest(successes, n).proportion_ci(CONFIDENCE, method="exact" if method == "clopper-pearson" else "wilson")
    return Interval(successes / n, float(ci.low), float(ci.high), successes, n, method)


def lower_bound(successes: int, n: int, alpha: float) -> float:
    """Clopper and Pearson's one-sided lower bound of a share, wrong with a chance of at most `alpha`.

    References:
        The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial (Clopper, Pearson, 1934)
        https://doi.org/10.1093/biomet/26.4.404
    """
    from scipy.stats import beta

    return float(beta.ppf(alpha, successes, n - successes + 1)) if successes else 0.0


def mean_share(shares: np.ndarray) -> Interval:
    """Mean over images of each image's share of draws: a proportion if all are 0 or 1, else an image-clustered bootstrap.

    Arguments:
        shares: Shape `(n,)`, in [0, 1].
    """
    total = float(shares.sum())
    if np.isin(shares, (0.0, 1.0)).all():
        return proportion(round(total), len(shares))
    low, high = _bootstrap(shares)
    return Interval(total / len(shares), low, high, total, len(shares), "bootstrap")


def paired_p(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided p-value that two defenses are equally often right on the same images.

    Exact McNemar where every share is 0 or 1, else Wilcoxon's signed-rank test on the images' shares.

    References:
        Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages (McNemar, 1947)
        https://doi.org/10.1007/BF02295996

    Arguments:
        a: Shares of right draws per image, shape `(n,)`.
        b: Those of the other defense on the same images.
    """
    from scipy.stats import binomtest, wilcoxon

    difference = a - b
    discordant = difference[difference != 0]
    if not len(discordant):
        return 1.0
    if np.isin(difference, (-1.0, 0.0, 1.0)).all():
        return float(binomtest(int((discordant > 0).sum()), len(discordant)).pvalue)
    return float(wilcoxon(discordant).pvalue)


def holm(values: list[float]) -> list[float]:
    """Holm's step-down correction of a family of p-values.

    References:
        A Simple Sequentially Rejective Multiple Test Procedure (Holm, 1979)
        https://www.jstor.org/stable/4615733
    """
    corrected, running = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        running = max(running, min(1.0, values[index] * (len(values) - rank)))
        corrected[index] = running
    return corrected


def _bootstrap(shares: np.ndarray, resamples: int = 2_000) -> tuple[float, float]:
    """Percentile interval; the resampling has a fixed key, so the same lines give the same interval."""
    generator, n = np.random.Generator(np.random.Philox(key=0)), len(shares)
    means = [shares[generator.integers(n, size=n)].mean() for _ in range(resamples)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return (float(low), float(high)) if low < high else _wilson(float(shares.mean()), n)


def _wilson(p: float, n: int) -> tuple[float, float]:
    """For images that all have the same fractional share, which no resampling can tell apart."""
    z = 1.959963984540054
    centre, half = (p + z * z / (2 * n)), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)
