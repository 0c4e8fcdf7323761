"""What a check will cost, and all of them, before they start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.gradient import GradientMode
from bench.pace import Work
from bench.run.worker import Worker

NEW, DONE = "new", "done"


@dataclass(frozen=True)
class Load:
    """Work on some images under one gradient mode.

    Arguments:
        images: Number of images.
        work: Evaluations and gradients of each; None for an attack that states no formula for its work.
        mode: What is differentiated.
        likely: The same on average, where some images break early; None for all of the work.
    """

    images: int
    work: Work | None
    mode: GradientMode = GradientMode.FULL
    likely: Work | None = None


def scored(work: Work, draws: int) -> Work:
    """An attack's work on an image, and the score of the image before and after it."""
    return work + Work(evaluations=2 * draws)


@dataclass(frozen=True)
class Price:
    """What will become of a check, and at what cost.

    Arguments:
        name: The check's.
        state: `new`: it will be made; `done`: it was made before; `skipped`: it does not apply.
        why: Why it does not apply.
        predicted: `seconds`, and `passes` by network, at most; `likely`, the seconds if as many images stand as under the run's
            own attack; `unforeseen`, the number of attacks beside them that state no formula for their work.
    """

    name: str
    state: str
    why: str = ""
    predicted: dict[str, Any] = field(default_factory=lambda: summed([]))

    def as_dict(self) -> dict[str, Any]:
        """The price as JSON."""
        return asdict(self)


def total(prices: Iterable[Price]) -> dict[str, Any]:
    """The number of checks that will be made, and what they will cost together."""
    costs = [price.predicted for price in prices if price.state == NEW]
    return {"checks": len(costs), **summed(costs)}


def summed(costs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Several costs as one."""
    seconds, likely, passes, unforeseen = 0.0, 0.0, Counter[str](), 0
    for cost in costs:
        seconds, likely = seconds + cost["seconds"], likely + cost["likely"]
        unforeseen += cost.get("unforeseen", 0)
        passes.update(cost["passes"])
    beside = {"unforeseen": unforeseen} if unforeseen else {}
    return {"seconds": round(seconds, 1), "likely": round(likely, 1), "passes": dict(passes), **beside}


class Prices:
    """Seconds and passes of an evaluation and of a gradient, timed on one chunk when they are first asked for.

    Arguments:
        worker: Where they are timed.
        chunk: Rows that the last of the images is padded to; 1 where draws fill the chunks.
    """

    def __init__(self, worker: Worker, chunk: int = 1) -> None:
        self.worker, self.chunk = worker, chunk
        self.timed: dict[GradientMode, tuple[float, dict[str, float]]] = {}

    def of(self, loads: Sequence[Load]) -> dict[str, Any]:
        """At most so many network passes and seconds, and the likely seconds."""
        return summed([self._cost(load) for load in loads])

    def _cost(self, load: Load) -> dict[str, Any]:
        if load.work is None:
            return {"seconds": 0.0, "likely": 0.0, "passes": {}, "unforeseen": 1}
        seconds, passes = self._spent(load, load.work)
        likely, _ = self._spent(load, load.likely or load.work)
        return {"seconds": seconds, "likely": likely, "passes": passes}

    def _spent(self, load: Load, work: Work) -> tuple[float, dict[str, int]]:
        """Seconds and passes of this much work on each image."""
        seconds, passes = 0.0, Counter[str]()
        rows = -(-load.images // self.chunk) * self.chunk
        for mode, each in ((GradientMode.NONE, work.evaluations), (load.mode, work.gradients)):
            if each and load.images:
                took, made = self._time(mode)
                seconds += took * each * rows
                passes.update({kind: round(count * each * load.images) for kind, count in made.items() if count})
        return seconds, dict(passes)

    def _time(self, mode: GradientMode) -> tuple[float, dict[str, float]]:
        if mode not in self.timed:
            self.timed[mode] = self.worker.time(mode)
        return self.timed[mode]
