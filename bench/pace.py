"""How long evaluations take here, and so how much time an attack still needs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

GRADIENT_IN_EVALUATIONS = 3.0
"""What a gradient costs, in evaluations, until both have been timed: one sweep forward and one backward of twice its work."""
RECENT = 0.2
"""Weight of the latest chunk in the running mean."""

SETTLED = 0.1
"""Share of a shard after which its own pace is known."""


@dataclass(frozen=True)
class Work:
    """Evaluations and gradients of the defended classifier, per image and draw.

    Arguments:
        evaluations: Forward passes through the whole defended classifier.
        gradients: Gradients through it, each with its own forward pass.
    """

    evaluations: float = 0
    gradients: float = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.evaluations + other.evaluations, self.gradients + other.gradients)

    def __mul__(self, times: float) -> Work:
        return Work(self.evaluations * times, self.gradients * times)

    @property
    def forward_equivalents(self) -> float:
        """The work in evaluations, a gradient counting as three."""
        return self.evaluations + GRADIENT_IN_EVALUATIONS * self.gradients


@dataclass
class Pace:
    """Running mean of the seconds that one chunk takes, by what is computed of it.

    Arguments:
        working: Told the share of an attack's time that has passed, and the number of images that stand.
    """

    working: Callable[[float, int], None] = lambda done, standing: None
    means: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        """An attack begins now."""
        self.started = time.monotonic()

    def took(self, kind: str, seconds: float) -> None:
        """A chunk has been evaluated (`evaluation`) or differentiated (`gradient`)."""
        mean = self.means.get(kind, seconds)
        self.means[kind] = mean + RECENT * (seconds - mean)

    def seconds(self, work: Work) -> float:
        """Time that this much work on one chunk takes."""
        evaluation, gradient = self.means.get("evaluation"), self.means.get("gradient")
        if evaluation is None:
            evaluation = (gradient or 0.0) / GRADIENT_IN_EVALUATIONS
        if gradient is None:
            gradient = evaluation * GRADIENT_IN_EVALUATIONS
        return work.evaluations * evaluation + work.gradients * gradient

    def report(self, left: Work, standing: int, rows: int, chunk: int) -> None:
        """An attack has this much left to do for each of its rows."""
        passed = time.monotonic() - self.started
        remaining = self.seconds(left) * math.ceil(rows / chunk)
        self.working(passed / (passed + remaining) if passed + remaining else 1.0, standing)


@dataclass
class TimeToGo:
    """How long a run still needs, from the shards that are done and from how far the one at hand is.

    Arguments:
        total: Images of the whole run.
        done: Images that are finished.
        clock: Seconds, from any start.
    """

    total: int
    done: int
    clock: Callable[[], float] = time.monotonic
    spent: float = 0.0
    images: int = 0
    share: float = 0.0
    counted: int = 0

    def __post_init__(self) -> None:
        self.began = self.clock()

    def working(self, share: float, images: int) -> None:
        """The shard at hand, of this many images, is through this share of its time."""
        self.share, self.images = share, images

    def finished(self, images: int) -> None:
        """A shard is done."""
        self.spent, self.counted = self.spent + self.clock() - self.began, self.counted + images
        self.began, self.done, self.share, self.images = self.clock(), self.done + images, 0.0, 0

    def seconds(self) -> float | None:
        """Time to go; None while nothing is known."""
        passed = self.clock() - self.began
        shard = self._shard(passed)
        known = self.counted + (self.images if self.share else 0)
        if not known:
            return None
        rate, at_hand = (self.spent + shard) / known, self.images if self.share else 0
        return max(shard - passed, 0.0) + rate * max(self.total - self.done - at_hand, 0)

    def _shard(self, passed: float) -> float:
        """The whole time of the shard at hand: as those before it at its start, as it goes itself from its first tenth on."""
        if not self.share:
            return 0.0
        itself = passed / self.share
        before = self.spent / self.counted * self.images if self.counted else itself
        weight = min(1.0, self.share / SETTLED)
        return weight * itself + (1 - weight) * before
