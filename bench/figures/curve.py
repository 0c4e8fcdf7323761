"""Security curves: robust accuracy over the radius, no larger at a larger radius than at a smaller one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from bench.figures.aggregate import PerImage, never_rising
from bench.figures.summary import shares
from bench.records.lines import SampleRecord
from bench.stats.intervals import Interval, mean_share
from bench.threat import ThreatModel


@dataclass(frozen=True, kw_only=True)
class Point:
    """One radius of a curve.

    Arguments:
        threat: Norm and radius.
        run_id: The run at this radius.
        n: Images that the runs at all radii of the norm have.
        robust: Robust accuracy of this run alone, over its own images.
        worst: Over the `n` images, per image the worst of this run and those at smaller radii, whose images lie in this ball too.
    """

    threat: ThreatModel
    run_id: str
    n: int
    robust: Interval
    worst: Interval

    def as_dict(self) -> dict[str, Any]:
        """The point as JSON."""
        return {
            "threat": str(self.threat), "run_id": self.run_id, "n": self.n,
            "robust": self.robust.as_dict(), "worst": self.worst.as_dict(),
        }  # fmt: skip


def curve(runs: Sequence[tuple[ThreatModel, str, Sequence[SampleRecord]]]) -> list[Point]:
    """The points of independent runs of one attack on one defense.

    Arguments:
        runs: Threat, run id and lines of each run; those of a norm have at least one image in common.

    Returns:
        One point a run, by norm, smallest radius first.
    """
    points = []
    ordered = sorted(runs, key=lambda run: (run[0].norm, run[0].eps))
    for _, group in groupby(ordered, key=lambda run: run[0].norm):
        same = list(group)
        own = [PerImage(np.array([line.id for line in lines]), shares(lines)) for _, _, lines in same]
        for (threat, run_id, _), part, worst in zip(same, own, never_rising(own), strict=True):
            points.append(
                Point(
                    threat=threat,
                    run_id=run_id,
                    n=len(worst),
                    robust=mean_share(part.shares),
                    worst=mean_share(worst.shares),
                )
            )
    return points
