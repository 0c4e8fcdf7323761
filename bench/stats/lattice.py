"""Exact distributions of sums of values on a lattice, by the discrete Fourier transform: resampling without random numbers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

FINEST = 1_000
"""The largest number of steps in a unit that a lattice may have."""
LONGEST = 1 << 22
"""The most points of a sum that are computed."""
REACH = 16
"""Standard deviations on either side of the mean that are computed: what lies beyond is below rounding."""
SMALLEST = 1e-12
"""The smallest tail that is told: below it lies the rounding of the transform."""


def steps_in(values: np.ndarray) -> int | None:
    """The smallest k such that all values are multiples of 1/k, at most `FINEST`; None if there is none."""
    distinct = np.unique(values)
    for k in range(1, FINEST + 1):
        if np.abs(distinct * k - np.rint(distinct * k)).max(initial=0.0) < 1e-9:
            return k
    return None


def resampled_mean(values: np.ndarray, probabilities: tuple[float, float]) -> tuple[float, float] | None:
    """Two quantiles of the mean of as many values drawn with replacement: what infinitely many bootstrap resamples give.

    The sum's distribution is the n-th convolution power of the values' own, `irfft(rfft(p)^n)`.

    Arguments:
        values: Shape `(n,)`.
        probabilities: Of the two quantiles.

    Returns:
        None if the values lie on no lattice, or on one that is too fine.
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
    """Chance that random signs of the differences give a sum at least as far from zero as theirs.

    The characteristic function of the sum is the product of the cosines of the differences.

    Arguments:
        differences: Shape `(n,)`, none of them zero.

    Returns:
        At least `SMALLEST`; None if they lie on no lattice, or on one that is too fine.
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
    """Quantiles of the sum of as many draws from values 0, 1, ... as there are values; the same run is asked for often.

    Arguments:
        counted: How often each value occurs, int64.
        probabilities: Of the two quantiles.
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
    """Points of a transform that hold a sum of so many values, or as many as lie within `REACH` of its mean; even."""
    needed = min(length, int(2 * REACH * deviation) + 64)
    return 1 << max(1, (needed - 1).bit_length())


def _power(values: np.ndarray, exponent: int) -> np.ndarray:
    """By repeated squaring, some times faster than `**` on complex numbers."""
    result = np.ones_like(values)
    while exponent:
        if exponent & 1:
            result = result * values
        values, exponent = values * values, int(exponent) >> 1
    return result
