"""The predicted cost of each check, and of all checks together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.gradient import GradientMode
from bench.pace import Work
from bench.run.prediction import Costs

NEW, DONE = "new", "done"


@dataclass(frozen=True)
class Load:
    """The work of a check on some images, under one gradient mode.

    Arguments:
        images: Number of images.
        work: Evaluations and gradients per image; None for an attack that states no bound on its work.
        mode: The gradient mode.
        likely: The average per image, since some images break early; None for all of the work.
    """

    images: int
    work: Work | None
    mode: GradientMode = GradientMode.FULL
    likely: Work | None = None


@dataclass(frozen=True)
class Price:
    """Whether a check will run, and its cost.

    Arguments:
        name: The check's name.
        state: `new`: it will run; `done`: it was made before; `skipped`: it does not apply.
        why: Why it does not apply.
        predicted: `seconds`, and `passes` by network, at most; `likely`, the seconds if as many images stay unbroken as under
            the run's own attack; `unforeseen`, the number of attacks not in them, since they state no bound on their work.
    """

    name: str
    state: str
    why: str = ""
    predicted: dict[str, Any] = field(default_factory=lambda: summed([]))

    def as_dict(self) -> dict[str, Any]:
        """The price as JSON."""
        return asdict(self)


def total(prices: Iterable[Price]) -> dict[str, Any]:
    """The number of checks that will run, and their total cost."""
    costs = [price.predicted for price in prices if price.state == NEW]
    return {"checks": len(costs), **summed(costs)}


def summed(costs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The sum of several costs."""
    seconds, likely, passes, unforeseen = 0.0, 0.0, Counter[str](), 0
    for cost in costs:
        seconds, likely = seconds + cost["seconds"], likely + cost["likely"]
        unforeseen += cost.get("unforeseen", 0)
        passes.update(cost["passes"])
    beside = {"unforeseen": unforeseen} if unforeseen else {}
    return {"seconds": round(seconds, 1), "likely": round(likely, 1), "passes": dict(passes), **beside}


def priced(costs: Costs, loads: Iterable[Load]) -> dict[str, Any]:
    """The largest possible network passes and seconds of some loads, and the likely seconds."""
    return summed([_cost(costs, load) for load in loads])


def _cost(costs: Costs, load: Load) -> dict[str, Any]:
    if load.work is None:
        return {"seconds": 0.0, "likely": 0.0, "passes": {}, "unforeseen": 1}
    most, likely = (costs.of(load.images, work, load.mode) for work in (load.work, load.likely or load.work))
    return {"seconds": most.seconds, "likely": likely.seconds, "passes": {k: n for k, n in most.passes.items() if n}}
