"""What a check will cost, before it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.gradient import GradientMode
from bench.pace import Work
from bench.worker import Worker


@dataclass(frozen=True)
class Load:
    """Work on some images under one gradient mode.

    Arguments:
        images: Number of images.
        work: Evaluations and gradients of each.
        mode: What is differentiated.
    """

    images: int
    work: Work
    mode: GradientMode = GradientMode.FULL


class Prices:
    """Seconds and passes of an evaluation and of a gradient, timed on one chunk when they are first asked for.

    Arguments:
        worker: Where they are timed.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.timed: dict[GradientMode, tuple[float, dict[str, float]]] = {}

    def of(self, loads: Sequence[Load]) -> dict[str, Any]:
        """At most so many network passes and seconds."""
        seconds, passes = 0.0, Counter[str]()
        for load in loads:
            for mode, each in ((GradientMode.NONE, load.work.evaluations), (load.mode, load.work.gradients)):
                if each and load.images:
                    took, made = self._time(mode)
                    seconds += took * each * load.images
                    passes.update({kind: round(count * each * load.images) for kind, count in made.items() if count})
        return {"seconds": round(seconds, 1), "passes": dict(passes)}

    def _time(self, mode: GradientMode) -> tuple[float, dict[str, float]]:
        if mode not in self.timed:
            self.timed[mode] = self.worker.time(mode)
        return self.timed[mode]
