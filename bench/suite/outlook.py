"""What a suite would do: which cells exist, and what the others will cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bench.run.job import images_missing
from bench.run.runner import foresee
from bench.suite.cells import Cell
from bench.suite.outcome import Outlook
from bench.suite.suite import Suite


def outlooks(suite: Suite) -> Iterator[Outlook]:
    """The outlook of every cell, in order; nothing is written."""
    seen: dict[int | None, dict[str, tuple[float, Any]]] = defaultdict(dict)
    for number, cell in enumerate(suite.cells):
        if number in suite.outcomes:
            yield Outlook(cell)
            continue
        try:
            yield _outlook(suite, cell, seen[cell.batch_size])
        except Exception as error:
            yield Outlook(cell, error=error)


def _outlook(suite: Suite, cell: Cell, seen: dict[str, tuple[float, Any]]) -> Outlook:
    planned, options = suite.plan(cell), suite.execution.options(cell)
    images, total = images_missing(planned, options)
    if not images:
        return Outlook(cell, total=total)
    forecast = foresee(planned, options, seen)
    if forecast is None:
        return Outlook(cell, images, total)
    return Outlook(cell, images, total, forecast.most, forecast.likely)
