"""Checks that need a run's lines: the ball, and clean accuracy above chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from bench.records.claim import Claim, judged
from bench.records.lines import SampleRecord
from bench.records.spec import RunSpec
from bench.stats.intervals import mean_share
from bench.threat import ThreatModel

LEAST = 30
"""Images from which on clean accuracy is compared with chance."""


def finished_claims(spec: RunSpec, lines: Sequence[SampleRecord]) -> list[Claim]:
    """The claims that follow from the lines of a run.

    Arguments:
        spec: The run's spec.
        lines: At least one.
    """
    return [_ball(ThreatModel.parse(spec.threat), lines), _above_chance(lines)]


def _ball(threat: ThreatModel, lines: Sequence[SampleRecord]) -> Claim:
    """The largest distance; each image was held against ball and box when it was attacked."""
    furthest = max(line.distance for line in lines)
    inside = furthest <= threat.furthest
    means = "an image outside the ball or [0, 1] is no attack under this threat, so that robustness is understated; correct the attack"
    return judged("ball and box", furthest, threat.radius, inside, means)


def _above_chance(lines: Sequence[SampleRecord]) -> Claim:
    """Clean accuracy against the share of the most frequent label, which a constant answer reaches."""
    labels = np.array([line.label for line in lines])
    right = (np.array([line.clean for line in lines]) == labels[:, None]).mean(axis=1)
    chance = max(Counter(labels.tolist()).values()) / len(labels)
    interval = mean_share(right)
    measured = len(lines) >= LEAST and chance < 1
    means = "a classifier that guesses has no robustness to lose, or its data, labels or preprocessing are others; check them"
    return judged("above chance", interval.value, chance, interval.low > chance if measured else None, means)
