"""What a run will cost, before it begins: the attack's own bound on its work, times what one chunk costs on this machine."""

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

CALLS, STEPS = 2, 4
"""Timed calls, of which the shortest counts; and gradient steps, where a broken image may rest: half a radius each."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """At most this much: an image that breaks early costs less.

    Arguments:
        images: The images it is for.
        passes: Passes through each network, for all of them.
        seconds: Time on one worker, for all of them.
    """

    images: int
    passes: dict[str, int]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run will cost: at most, and if as many images break at once as in a probe.

    Arguments:
        done: Images that the record has already.
        most: The cost of the others if no image ever breaks.
        likely: Their cost if only the share `standing` of them is attacked to the end.
        standing: Share of the probed images that a few gradient steps did not break.
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
    """What one chunk of images costs, and how many of them break at once.

    Arguments:
        seconds: Time of one image.
        passes: Passes of one image through each network.
        standing: Share of the images that are right, and stay so under a few gradient steps where an attack may rest.
        images: The number of images tried.
    """

    seconds: float
    passes: dict[str, float]
    standing: float = 1.0
    images: int = 0


def tried(worker: Worker, mode: GradientMode) -> Trial:
    """Evaluates one chunk of the first images (`NONE`), or takes a few gradient steps on it (any other mode).

    The seconds are those of the shortest call: another process only ever makes a call longer.
    """
    if not has_gradients(worker.plan.classifier):
        mode = GradientMode.NONE  # the gradients that the attack takes are another network's
    return worker._fitting(partial(_tried, worker, mode))


def _tried(worker: Worker, mode: GradientMode) -> Trial:
    threat, count = worker.plan.threat, min(worker.batch, len(worker.plan.dataset))
    view, x, y, noise = worker.look(mode, np.arange(count))
    z, noise, seconds = x, noise.of("score"), math.inf
    rests = view.decisive and mode is not GradientMode.NONE
    standing = worker.margins(view, x, y, noise)[:, 0] > 0  # loads the kernels, too
    for _ in range(STEPS if rests else CALLS):
        view.tally.counts.clear()
        started = time.monotonic()
        if mode is GradientMode.NONE:
            worker.logits(view, x, noise)
        else:
            _, values, slope = view.differentiate(z, y, noise, lambda logits, y: -margin(logits, y))
            standing &= (values <= 0) | (not rests)
            z = project(z + threat.radius / 2 * steepest(slope, threat), x, threat)
        synchronize(worker.device)
        seconds = min(seconds, time.monotonic() - started)
    passes = {kind: sum(view.tally.of(sample)[kind] for sample in noise.ids.tolist()) / count for kind in KINDS}
    return Trial(seconds=seconds / count, passes=passes, standing=float(standing.float().mean()), images=count)


class Costs:
    """The cost of images, from chunks that are tried when they are first asked for.

    Arguments:
        trial: Tries a chunk under a gradient mode.
        chunk: Rows that the last of the images is padded to; 1 where draws fill the chunks.
    """

    def __init__(self, trial: Callable[[GradientMode], Trial], chunk: int = 1) -> None:
        self.trial, self.chunk = trial, chunk
        self.trials: dict[GradientMode, Trial] = {}

    def of(self, images: int, work: Work, mode: GradientMode) -> Prediction:
        """The cost of so many images, each given this much work under a gradient mode."""
        seconds, passes = 0.0, Counter[str]()
        rows = -(-images // self.chunk) * self.chunk
        for view, each in ((GradientMode.NONE, work.evaluations), (mode, work.gradients)):
            if each and images:
                trial = self.under(view)
                seconds += trial.seconds * each * rows
                passes.update({kind: round(count * each * images) for kind, count in trial.passes.items()})
        return Prediction(images=images, passes=dict(passes), seconds=seconds)

    def under(self, mode: GradientMode) -> Trial:
        """The chunk that was tried under a gradient mode."""
        if mode not in self.trials:
            self.trials[mode] = self.trial(mode)
        return self.trials[mode]


def scored(work: Work, plan: Plan) -> Work:
    """An attack's work on an image, and the score of the image before and after it."""
    return work + Work(evaluations=2 * plan.spec.draws)


def forecast(plan: Plan, costs: Costs, *, images: int, done: int) -> Forecast | None:
    """The cost of what is missing of a run; None for an attack that states no bound on its work.

    Arguments:
        plan: The run.
        costs: What chunks of it cost.
        images: How many are missing.
        done: How many the record has.
    """
    if plan.work is None:
        return None
    probe = costs.under(plan.gradient) if images else Trial(seconds=0.0, passes={})
    most, likely = (costs.of(images, scored(plan.work * share, plan), plan.gradient) for share in (1.0, probe.standing))
    return Forecast(done=done, most=most, likely=likely, standing=probe.standing, probed=probe.images)


def shared(plan: Plan) -> str:
    """A key that runs have in common whose chunks cost the same, whatever attacks them."""
    return canonical([plan.gradient.value, plan.known, plan.spec.model_dump(exclude={"attack", "seed"})])
