"""The cost of a run before it starts: the attack's own bound on its work, times the cost of one chunk on this machine."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from bench.ball import project, steepest
from bench.gradient import GradientMode
from bench.machine.memory import synchronize
from bench.margin import margin
from bench.pace import Work
from bench.passes import KINDS, has_gradients
from bench.plan.plan import Plan
from bench.records.spec import canonical
from bench.run.worker import Worker

CALLS = 2
"""Timed calls; the shortest one counts."""
STEPS = 4
"""Gradient steps of half a radius, taken if an attack may stop at broken images."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """An upper bound on the cost of some images; an image that breaks early costs less.

    Arguments:
        images: The number of images.
        passes: Passes through each network, for all images.
        seconds: Time on one worker, for all images.
    """

    images: int
    passes: dict[str, int]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The cost of a run: an upper bound, and the cost if as many images break early as in a probe.

    Arguments:
        done: Images in the record.
        most: The cost of the missing images if none breaks.
        likely: Their cost if only the share `standing` of them is attacked to the end.
        standing: Share of the probed images that a few gradient steps left unbroken.
        probed: The number of probed images.
    """

    done: int
    most: Prediction
    likely: Prediction
    standing: float
    probed: int

    def as_dict(self) -> dict[str, Any]:
        """The forecast as JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The cost of one chunk of images, and the share of them that does not break early.

    Arguments:
        seconds: Time of one image.
        passes: Passes of one image through each network.
        standing: Share of the images that are classified correctly, also after a few gradient steps if an attack may stop at
            broken images.
        images: The number of images tried.
    """

    seconds: float
    passes: dict[str, float]
    standing: float = 1.0
    images: int = 0


def tried(worker: Worker, mode: GradientMode) -> Trial:
    """Evaluates one chunk of the first images (`NONE`), or takes a few gradient steps on it (any other mode).

    The shortest call counts, since other processes can only make a call longer.
    """
    if not has_gradients(worker.plan.classifier):
        mode = GradientMode.NONE  # the attack takes gradients of another network
    return worker.fitting(partial(_tried, worker, mode))


def _tried(worker: Worker, mode: GradientMode) -> Trial:
    threat, count = worker.plan.threat, min(worker.batch, len(worker.plan.dataset))
    view, x, y, noise = worker.look(mode, np.arange(count))
    z, noise, seconds = x, noise.of("score"), math.inf
    stops = view.decisive and mode is not GradientMode.NONE
    unbroken = worker.margins(view, x, y, noise)[:, 0] > 0  # this call also loads the kernels
    for _ in range(STEPS if stops else CALLS):
        view.tally.counts.clear()
        started = time.monotonic()
        if mode is GradientMode.NONE:
            worker.logits(view, x, noise)
        else:
            _, values, slope = view.differentiate(z, y, noise, lambda logits, y: -margin(logits, y))
            unbroken &= (values <= 0) | (not stops)
            z = project(z + threat.radius / 2 * steepest(slope, threat), x, threat)
        synchronize(worker.device)
        seconds = min(seconds, time.monotonic() - started)
    passes = {kind: sum(view.tally.of(sample)[kind] for sample in noise.ids.tolist()) / count for kind in KINDS}
    return Trial(seconds=seconds / count, passes=passes, standing=float(unbroken.float().mean()), images=count)


class Costs:
    """The cost of images; a chunk is tried under each gradient mode when it is first needed.

    Arguments:
        trial: Tries a chunk under a gradient mode.
        chunk: The number of images is rounded up to a multiple of it; 1 if draws fill the chunks.
    """

    def __init__(self, trial: Callable[[GradientMode], Trial], chunk: int = 1) -> None:
        self.trial, self.chunk = trial, chunk
        self.trials: dict[GradientMode, Trial] = {}

    def of(self, images: int, work: Work, mode: GradientMode) -> Prediction:
        """The cost of a number of images with this work each, under a gradient mode."""
        seconds, passes = 0.0, Counter[str]()
        rows = -(-images // self.chunk) * self.chunk
        for view, each in ((GradientMode.NONE, work.evaluations), (mode, work.gradients)):
            if each and images:
                trial = self.under(view)
                seconds += trial.seconds * each * rows
                passes.update({kind: round(count * each * images) for kind, count in trial.passes.items()})
        return Prediction(images=images, passes=dict(passes), seconds=seconds)

    def under(self, mode: GradientMode) -> Trial:
        """The trial under a gradient mode."""
        if mode not in self.trials:
            self.trials[mode] = self.trial(mode)
        return self.trials[mode]


def scored(work: Work, plan: Plan) -> Work:
    """An attack's work on an image plus the scores of the image before and after it."""
    return work + Work(evaluations=2 * plan.spec.draws)


def forecast(plan: Plan, costs: Costs, *, images: int, done: int) -> Forecast | None:
    """The cost of the missing images of a run; None for an attack that states no bound on its work.

    Arguments:
        plan: The plan of the run.
        costs: The cost of its chunks.
        images: The number of missing images.
        done: The number of images in the record.
    """
    if plan.work is None:
        return None
    probe = costs.under(plan.gradient) if images else Trial(seconds=0.0, passes={})
    most, likely = (costs.of(images, scored(plan.work * share, plan), plan.gradient) for share in (1.0, probe.standing))
    return Forecast(done=done, most=most, likely=likely, standing=probe.standing, probed=probe.images)


def shared(plan: Plan) -> str:
    """A key that is equal for runs whose chunks cost the same, regardless of the attack."""
    return canonical([plan.gradient.value, plan.known, plan.spec.model_dump(exclude={"attack", "seed"})])
