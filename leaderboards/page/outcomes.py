"""Image by image: the shares behind each row, its accuracy by class, and every two rows of a board compared in pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.figures.aggregate import PerImage
from bench.figures.runs import read_run
from bench.stats.intervals import Interval, mean_difference, mean_share
from bench.stats.paired import pairwise_p
from leaderboards.boards import Board
from leaderboards.rows import Row

DIGITS = 9
"""Significant digits; with fewer, rounding twice could give another last digit than in the tables."""


class Outcomes:
    """The images of a board, in the order of the record that has most of them.

    Arguments:
        board: The board.
    """

    def __init__(self, board: Board) -> None:
        self.rows = sorted(board.every, key=lambda row: -row.n)
        self.every = board.every
        self.ids = list(dict.fromkeys(sample for row in self.rows for sample in row.shares.ids.tolist()))
        self.labels = self._labels()

    def of_board(self) -> dict[str, Any]:
        """Ids and labels of the images, and the comparisons of all pairs of rows."""
        return {
            "ids": self.ids,
            "labels": [self.labels[sample] for sample in self.ids],
            "pairs": {
                "worst_case": self._pairs([row.shares for row in self.every]),
                "clean": self._pairs([row.clean_shares for row in self.every]),
            },
        }

    def of_row(self, row: Row) -> dict[str, Any]:
        """Its shares of right draws, one for each image of the board and null without one, and its accuracy by class."""
        return {
            "shares": self._listed(row.shares),
            "clean_shares": self._listed(row.clean_shares),
            "by_class": [self._of_class(row, label) for label in sorted(set(self.labels.values()))],
        }

    def _labels(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for row in self.rows:
            for part in row.runs:
                if set(self.ids) <= found.keys():
                    return found
                run = read_run(Path(part.path))
                found |= dict(zip(run.ids.tolist(), run.labels.tolist(), strict=True))
        return found

    def _listed(self, shares: PerImage) -> list[float | None]:
        values, places = np.unique(shares.on(np.array(self.ids)), return_inverse=True)
        texts = [None if np.isnan(value) else short(value) if value % 1 else int(value) for value in values.tolist()]
        return [texts[place] for place in places.tolist()]

    def _of_class(self, row: Row, label: int) -> dict[str, Any]:
        chosen = np.array([self.labels[sample] == label for sample in row.shares.ids.tolist()])
        if not chosen.any():
            return {"label": label, "n": 0}
        clean = row.clean_shares.on(row.shares.ids)
        return {
            "label": label,
            "n": int(chosen.sum()),
            "clean": _ends(mean_share(clean[chosen])),
            "worst_case": _ends(mean_share(row.shares.shares[chosen])),
        }

    def _pairs(self, parts: list[PerImage]) -> list[list[dict[str, Any] | None]]:
        """For each row and each row before it: the difference, its interval and the paired p; null without common images.

        Where a row has further images, its accuracy on the common ones is beside it: `row` of the later, `other` of the earlier.
        """
        if not parts:
            return []
        shares = np.array([part.on(np.array(self.ids)) for part in parts])
        p = pairwise_p(shares)
        return [[_pair(shares[i], shares[j], p[i, j]) for j in range(i)] for i in range(len(parts))]


def _pair(a: np.ndarray, b: np.ndarray, p: float) -> dict[str, Any] | None:
    both = ~np.isnan(a) & ~np.isnan(b)
    if not both.any():
        return None
    of_both = {
        name: _ends(mean_share(shares[both]))
        for name, shares in (("row", a), ("other", b))
        if both.sum() < (~np.isnan(shares)).sum()
    }
    return _ends(mean_difference(a[both], b[both])) | {"n": int(both.sum()), "p": short(p)} | of_both


def _ends(interval: Interval) -> dict[str, float]:
    return {"value": short(interval.value), "low": short(interval.low), "high": short(interval.high)}


def short(value: float) -> float:
    """The number with `DIGITS` significant digits."""
    return float(f"{value:.{DIGITS}g}")
