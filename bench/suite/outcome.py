"""What became of a suite's cells, and what is to come of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.suite.cells import Cell
from bench.suite.finished_cells import Figures

if TYPE_CHECKING:
    from bench.run.prediction import Prediction


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Arguments:
        cell: Which.
        state: `done` (it was before), `made`, or `failed`.
        figures: Of its record, unless it failed.
        error: Why it failed.
    """

    cell: Cell
    state: str
    figures: Figures | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class Outlook:
    """What is to come of a cell.

    Arguments:
        cell: Which.
        images: How many are missing.
        total: How many it will have; 0 if it is wrong or known to be done.
        most: What the missing ones cost at most; None if nothing is missing or the attack does not say.
        likely: What they cost if as many break early as in a probe.
        error: Why it cannot be made.
    """

    cell: Cell
    images: int = 0
    total: int = 0
    most: Prediction | None = None
    likely: Prediction | None = None
    error: Exception | None = None

    @property
    def state(self) -> str:
        """`done`, `begun`, `new` or `wrong`."""
        if self.error:
            return "wrong"
        if not self.images:
            return "done"
        return "begun" if self.images < self.total else "new"
