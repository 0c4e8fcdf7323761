"""The work of an attack and its progress, estimated from the measured time of evaluations and gradients."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

GRADIENT_IN_EVALUATIONS = 3.0
"""Evaluations that a gradient is assumed to cost until both are timed: a backward pass costs two forward passes."""
RECENT = 0.2
"""Weight of the latest chunk in the running mean."""


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
        """The work in evaluations; a gradient counts as three."""
        return self.evaluations + GRADIENT_IN_EVALUATIONS * self.gradients


@dataclass
class Pace:
    """Running mean of the seconds per chunk, for evaluations and gradients.

    Arguments:
        working: Called with the share of an attack's time that has passed and the number of unbroken images.
    """

    working: Callable[[float, int], None] = lambda done, unbroken: None
    means: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        """Starts the clock of an attack."""
        self.started = time.monotonic()

    def took(self, kind: str, seconds: float) -> None:
        """Records the time of one chunk; `kind` is `evaluation` or `gradient`."""
        mean = self.means.get(kind, seconds)
        self.means[kind] = mean + RECENT * (seconds - mean)

    def seconds(self, work: Work) -> float:
        """Estimated time of this work on one chunk."""
        evaluation, gradient = self.means.get("evaluation"), self.means.get("gradient")
        if evaluation is None:
            evaluation = (gradient or 0.0) / GRADIENT_IN_EVALUATIONS
        if gradient is None:
            gradient = evaluation * GRADIENT_IN_EVALUATIONS
        return work.evaluations * evaluation + work.gradients * gradient

    def report(self, left: Work, unbroken: int, rows: int, chunk: int) -> None:
        """Passes on the share of the attack's time that has passed, from the work left for each of `rows` rows."""
        passed = time.monotonic() - self.started
        remaining = self.seconds(left) * math.ceil(rows / chunk)
        self.working(passed / (passed + remaining) if passed + remaining else 1.0, unbroken)
