"""The outcome of a cell of a suite."""

from __future__ import annotations

from dataclasses import dataclass

from bench.suite.cells import Cell
from bench.suite.finished_cells import Figures


@dataclass(frozen=True)
class Outcome:
    """The outcome of a cell.

    Arguments:
        cell: The cell.
        state: `done` (already before), `made` or `failed`.
        figures: The figures of its record, unless it failed.
        error: The error, if it failed.
    """

    cell: Cell
    state: str
    figures: Figures | None = None
    error: Exception | None = None
