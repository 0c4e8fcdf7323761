"""A forecast of a suite: the cells that are done, and the cost of the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.run.job import images_missing
from bench.run.runner import foresee
from bench.suite.cells import Cell
from bench.suite.suite import Suite

if TYPE_CHECKING:
    from bench.run.prediction import Costs, Forecast


@dataclass(frozen=True)
class Outlook:
    """The state of a cell, and the cost of its missing images.

    Arguments:
        cell: The cell.
        images: Number of missing images.
        total: Number of images in the end; 0 if the cell is wrong, or listed as finished.
        forecast: The cost of the missing images; None if none is missing, or if the attack states no bound on its work.
        error: The error, if the cell is wrong.
    """

    cell: Cell
    images: int = 0
    total: int = 0
    forecast: Forecast | None = None
    error: Exception | None = None

    @property
    def state(self) -> str:
        """`done`, `begun`, `new` or `wrong`."""
        if self.error:
            return "wrong"
        if not self.images:
            return "done"
        return "begun" if self.images < self.total else "new"


def outlooks(suite: Suite) -> Iterator[Outlook]:
    """The outlook of every cell, in order; nothing is written."""
    seen: dict[int | None, dict[str, Costs]] = defaultdict(dict)
    for number, cell in enumerate(suite.cells):
        if number in suite.outcomes:
            yield Outlook(cell)
            continue
        try:
            planned, options = suite.plan(cell), suite.execution.options(cell)
            images, total = images_missing(planned, options)
            yield Outlook(cell, images, total, foresee(planned, options, seen[cell.batch_size]) if images else None)
        except Exception as error:
            yield Outlook(cell, error=error)
