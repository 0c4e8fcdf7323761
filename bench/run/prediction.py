"""What a run will cost, before it begins: the attack's own formula, what one chunk costs here, and who falls at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bench.gradient import GradientMode
from bench.pace import Work
from bench.records.spec import canonical

if TYPE_CHECKING:
    from bench.plan.plan import Plan


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
    """What a run will cost if every image stands, and if as many fall at once as in a probe.

    Arguments:
        done: Images that the record has already.
        most: The cost of the others if all of them stand to the end.
        likely: Their cost if the share `standing` of them stands to the end.
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


class Clock(Protocol):
    """What knows the cost of one image: a worker, or who has counted and timed before."""

    def time(self, mode: GradientMode) -> tuple[float, dict[str, float]]:
        """Seconds and passes that an image takes, evaluated (`NONE`) or differentiated (any other mode)."""


class Prober(Clock, Protocol):
    """A clock that can also try who falls at once."""

    def probe(self, count: int) -> tuple[float, int]:
        """The share of the first images that stand after a few gradient steps, and how many were tried."""


class Remembering:
    """A prober that tries nothing twice: runs of the same parts cost the same an image, whatever attacks them.

    Arguments:
        prober: What times and probes.
        plan: The run it is for.
        seen: What was found before, on the same device and in the same batch size; what is found is added.
    """

    def __init__(self, prober: Prober, plan: Plan, seen: dict[str, tuple[float, Any]]) -> None:
        self.prober, self.plan, self.seen = prober, plan, seen

    def time(self, mode: GradientMode) -> tuple[float, dict[str, float]]:
        """As the prober's, the first time."""
        return self._once(["time", mode.value], ("attack", "threat", "draws", "seed"), lambda: self.prober.time(mode))

    def probe(self, count: int) -> tuple[float, int]:
        """As the prober's, the first time for this threat, gradient and knowledge."""
        view = ["probe", count, self.plan.gradient.value, self.plan.known]
        return self._once(view, ("attack", "seed"), lambda: self.prober.probe(count))

    def _once(
        self, what: list[Any], apart: tuple[str, ...], find: Callable[[], tuple[float, Any]]
    ) -> tuple[float, Any]:
        spec = {part: value for part, value in self.plan.spec.model_dump().items() if part not in apart}
        key = canonical([*what, spec])
        if key not in self.seen:
            self.seen[key] = find()
        return self.seen[key]


def predict(plan: Plan, worker: Clock, images: int, *, least: bool = False) -> Prediction | None:
    """The cost of some images of a plan, from one chunk that is evaluated and one that is differentiated here.

    Arguments:
        plan: The run.
        worker: Where it is timed.
        images: How many are to be run.
        least: Whether every image breaks at once, instead of none ever.

    Returns:
        None for an attack without a formula.
    """
    if plan.work is None:
        return None
    return _Costs(plan, worker).of(images, plan.least if least else plan.work)


def forecast(plan: Plan, worker: Prober, *, images: int, done: int, probe: int) -> Forecast | None:
    """The cost of what is missing of a run, by the formula and a probe: a few gradient steps on the first images.

    Arguments:
        plan: The run.
        worker: Where it is timed and probed.
        images: How many are missing.
        done: How many the record has.
        probe: How many to probe, at most; none are for an attack that takes no gradients.

    Returns:
        None for an attack without a formula.
    """
    if plan.work is None:
        return None
    costs, count = _Costs(plan, worker), min(probe, images)
    standing, probed = (1.0, 0) if plan.gradient is GradientMode.NONE or not count else worker.probe(count)
    average = plan.work * standing + plan.least * (1 - standing)
    return Forecast(
        done=done, most=costs.of(images, plan.work), likely=costs.of(images, average), standing=standing, probed=probed
    )


class _Costs:
    """Seconds and passes of an image's evaluation and of its gradient, timed when they are first asked for."""

    def __init__(self, plan: Plan, worker: Clock) -> None:
        self.plan, self.worker = plan, worker
        self.timed: dict[GradientMode, tuple[float, dict[str, float]]] = {}

    def of(self, images: int, work: Work) -> Prediction:
        """The cost of images that are each given this much work by the attack, the scoring of both versions included."""
        counts = (GradientMode.NONE, work.evaluations + 2 * self.plan.spec.draws), (self.plan.gradient, work.gradients)
        seconds, passes = 0.0, Counter[str]()
        for mode, count in counts:
            if count and images:
                if mode not in self.timed:
                    self.timed[mode] = self.worker.time(mode)
                took, made = self.timed[mode]
                seconds += took * count * images
                passes.update({kind: round(number * count * images) for kind, number in made.items()})
        return Prediction(images=images, passes=dict(passes), seconds=seconds)
