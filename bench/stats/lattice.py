"""Exact distributions of sums of lattice values, by the Fourier transform: resampling without random numbers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

FINEST = 1_000
"""Largest number of lattice steps per unit."""
LONGEST = 1 << 22
"""Largest number of points of a computed distribution."""
REACH = 16
"""Standard deviations computed on either side of the mean; the rest is below rounding error."""
SMALLEST = 1e-12
"""Smallest tail that is reported; smaller ones are lost in the rounding error of the transform."""


def steps_in(values: np.ndarray) -> int | None:
    """The smallest k up to `FINEST` such that all values are multiples of 1/k; None if there is none."""
    distinct = np.unique(values)
    for k in range(1, FINEST + 1):
        if np.abs(distinct * k - np.rint(distinct * k)).max(initial=0.0) < 1e-9:
            return k
    return None


def resampled_mean(values: np.ndarray, probabilities: tuple[float, float]) -> tuple[float, float] | None:
    """Two quantiles of the bootstrap distribution of the mean, in the limit of infinitely many resamples.

    The distribution of the sum is the n-th convolution power of the values' distribution p: `irfft(rfft(p)^n)`.

    Arguments:
        values: Shape `(n,)`.
        probabilities: Those of the two quantiles.

    Returns:
        None if the values lie on no lattice, or the lattice is too fine.
    """
    k, n = steps_in(values), len(values)
    if k is None:
        return None
    levels = np.rint(values * k).astype(np.int64)
    lowest = int(levels.min())
    counts = np.bincount(levels - lowest)
    places = _sum_quantiles(counts.tobytes(), probabilities)
    return places and ((places[0] + n * lowest) / (n * k), (places[1] + n * lowest) / (n * k))


def sign_flip_tail(differences: np.ndarray) -> float | None:
    """Probability that random signs of the differences give a sum at least as far from zero as the observed one.

    The characteristic function of the sum is the product of the cosines of the differences.

    Arguments:
        differences: Shape `(n,)`, none of them zero.

    Returns:
        At least `SMALLEST`; None if the differences lie on no lattice, or the lattice is too fine.
    """
    k = steps_in(differences)
    if k is None:
        return None
    levels, counts = np.unique(np.abs(np.rint(differences * k)).astype(np.int64), return_counts=True)
    size = _size(2 * int(levels @ counts) + 1, float(levels**2 @ counts) ** 0.5)
    observed = abs(int(np.rint(differences * k).sum()))
    if size > LONGEST:
        return None
    if observed >= size // 2:
        return SMALLEST
    frequencies = np.arange(size // 2 + 1) * (2 * np.pi / size)
    transform = np.prod(
        [_power(np.cos(frequencies * level), count) for level, count in zip(levels, counts, strict=True)], axis=0
    )
    sums = np.fft.irfft(transform, size)
    inside = sums[0] + 2 * sums[1:observed].sum() if observed else 0.0
    return float(min(1.0, max(1 - inside, SMALLEST)))


@lru_cache(maxsize=4096)
def _sum_quantiles(counted: bytes, probabilities: tuple[float, float]) -> tuple[int, int] | None:
    """Quantiles of the sum of n draws with replacement from n values; cached, since the same run is asked for often.

    Arguments:
        counted: Number of values 0, 1, ..., as the bytes of an int64 array.
        probabilities: Those of the two quantiles.
    """
    counts = np.frombuffer(counted, dtype=np.int64)
    n, span, values = int(counts.sum()), len(counts) - 1, np.arange(len(counts))
    total = int(counts @ values)
    variance = float(counts @ values**2) / n - (total / n) ** 2
    size = _size(n * span + 1, max(0.0, variance) ** 0.5 * n**0.5)
    if size > LONGEST or span >= size:
        return None
    sums = np.fft.irfft(_power(np.fft.rfft(counts / n, size), n), size)
    first = max(0, total - size // 2)
    below = np.cumsum(np.maximum(np.roll(sums, -first), 0))
    low, high = (first + int(np.searchsorted(below, p * below[-1] - 1e-12)) for p in probabilities)
    return low, high


def _size(length: int, deviation: float) -> int:
    """Size of the transform, a power of 2: for all values of the sum, or for those within `REACH` of its mean."""
    needed = min(length, int(2 * REACH * deviation) + 64)
    return 1 << max(1, (needed - 1).bit_length())


def _power(values: np.ndarray, exponent: int) -> np.ndarray:
    """Power by repeated squaring, which is several times faster than `**` on complex numbers."""
    result = np.ones_like(values)
    while exponent:
        if exponent & 1:
            result = result * values
        values, exponent = values * values, int(exponent) >> 1
    return result
