"""What a suite would do: which cells exist, and what the others will cost."""

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
    """What is missing of a cell.

    Arguments:
        cell: Which.
        images: How many are missing.
        total: How many it will have; 0 if it is wrong or known to be done.
        forecast: What the missing ones cost; None if nothing is missing or the attack states no bound on its work.
        error: Why it cannot be made.
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
