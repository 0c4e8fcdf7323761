"""Rules that make one figure of several draws: their mean, the worst of them, the majority of their votes."""

from __future__ import annotations

import numpy as np

RULES = ("mean", "worst", "majority")


def by_rule(predictions: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Each image's share of right draws, whether all draws are right, and whether their most frequent class is right.

    Arguments:
        predictions: The classes of each draw, `(n, k)`; of several most frequent classes the smallest counts.
        labels: The true classes, `(n,)`.

    Returns:
        For each of `RULES` the images' values in [0, 1], `(n,)`.
    """
    right = predictions == labels[:, None]
    ordered = np.sort(predictions, axis=1)
    votes = (ordered[:, :, None] == ordered[:, None, :]).sum(axis=2)
    chosen = np.take_along_axis(ordered, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
    return {"mean": right.mean(axis=1), "worst": right.all(axis=1) * 1.0, "majority": (chosen == labels) * 1.0}
