"""What a suite would do: which cells exist, and what the others will cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.job import images_missing
from bench.matrix import Cell
from bench.outcome import Outlook
from bench.plan import Plan
from bench.prediction import Forecast, Prediction
from bench.runner import foresee
from bench.spec import canonical
from bench.suite import Suite


def outlooks(suite: Suite) -> Iterator[Outlook]:
    """The outlook of every cell, in order; nothing is written."""
    timed: dict[str, Forecast | None] = {}
    for number, cell in enumerate(suite.cells):
        if number in suite.outcomes:
            yield Outlook(cell)
            continue
        try:
            yield _outlook(suite, cell, timed)
        except Exception as error:
            yield Outlook(cell, error=error)


def _outlook(suite: Suite, cell: Cell, timed: dict[str, Forecast | None]) -> Outlook:
    planned, options = suite.plan(cell), suite.execution.options(cell)
    images, total = images_missing(planned, options)
    if not images:
        return Outlook(cell, total=total)
    key = _like(planned, options.batch_size)
    if key not in timed:
        timed[key] = foresee(planned, options)
    forecast = timed[key]
    if forecast is None:
        return Outlook(cell, images, total)
    return Outlook(cell, images, total, scaled(forecast.most, images), scaled(forecast.likely, images))


def scaled(prediction: Prediction, images: int) -> Prediction:
    """The same prediction for another number of images."""
    share = images / prediction.images
    passes = {kind: round(count * share) for kind, count in prediction.passes.items()}
    return Prediction(images=images, passes=passes, seconds=prediction.seconds * share)


def _like(planned: Plan, batch_size: int | None) -> str:
    """The same for cells of which an image costs the same: the seed does not matter."""
    spec: dict[str, Any] = planned.spec.model_dump()
    return canonical({**spec, "seed": 0, "batch_size": batch_size})
