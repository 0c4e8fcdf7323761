"""What became of a suite's cells."""

from __future__ import annotations

from dataclasses import dataclass

from bench.suite.cells import Cell
from bench.suite.finished_cells import Figures


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
