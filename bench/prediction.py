"""What a run will cost, before it begins: the attack's own formula, times what one chunk costs here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.gradient import GradientMode

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.worker import Worker


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


def predict(plan: Plan, worker: Worker, images: int) -> Prediction | None:
    """The cost of some images of a plan, from one chunk that is evaluated and one that is differentiated here.

    Arguments:
        plan: The run.
        worker: Where it is timed.
        images: How many are to be run.

    Returns:
        None for an attack without a formula.
    """
    if plan.work is None:
        return None
    counts = (GradientMode.NONE, plan.work.evaluations + 2 * plan.spec.draws), (plan.gradient, plan.work.gradients)
    seconds, passes = 0.0, Counter[str]()
    for mode, count in counts:
        if count and images:
            took, made = worker.time(mode)
            seconds += took * count * images
            passes.update({kind: round(number * count * images) for kind, number in made.items()})
    return Prediction(images=images, passes=dict(passes), seconds=seconds)
