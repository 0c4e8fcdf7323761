"""Boards of known ranks: correlated images, since rows share them, and rows that are equal, near, grouped or spread."""

import numpy as np
from scipy.stats import norm

ROWS, IMAGES = 20, 250
SHAPES = {
    "equal": np.full(ROWS, 0.5),
    "equal and low": np.full(ROWS, 0.05),
    "near": np.linspace(0.45, 0.55, ROWS),
    "grouped": np.repeat([0.7, 0.6, 0.5, 0.2], ROWS // 4),
    "one apart": np.r_[0.9, np.full(ROWS - 1, 0.4)],
    "spread": np.linspace(0.1, 0.8, ROWS),
}


def boards(shape, count, *, correlation=0.5, images=IMAGES):
    """Shares of 0 and 1, `(rows, images)`: an image is right if what it has in common with all rows, and noise, are above a bar."""
    rng = np.random.Generator(np.random.Philox(key=len(shape)))
    bars = norm.ppf(SHAPES[shape])[:, None]
    for _ in range(count):
        common, own = rng.standard_normal(images), rng.standard_normal((ROWS, images))
        yield (bars + correlation**0.5 * common + (1 - correlation) ** 0.5 * own > 0).astype(float)


def true_ranks(shape):
    """The best and the worst rank of each row: rows that are equal share all of theirs."""
    accuracy = SHAPES[shape]
    best = 1 + (accuracy[None, :] > accuracy[:, None] + 1e-12).sum(axis=1)
    worst = ROWS - (accuracy[None, :] < accuracy[:, None] - 1e-12).sum(axis=1)
    return best, worst


def coverage(intervals_of, shape, count, **options):
    """Share of boards on which all intervals hold all true ranks of their rows, and the mean number of ranks in an interval."""
    best, worst = true_ranks(shape)
    held, width = 0, 0.0
    for shares in boards(shape, count, **options):
        low, high = np.array(intervals_of(shares)).T
        held += bool((low <= best).all() and (high >= worst).all())
        width += float((high - low + 1).mean())
    return held / count, width / count
