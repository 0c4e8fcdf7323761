"""Security curves: robust accuracy over the radius, no larger at a larger radius than at a smaller one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
        n: Images that this run and those at all smaller radii have.
        robust: Robust accuracy of this run alone, over its own images.
        worst: Per image the worst over this run and those at smaller radii, whose images lie in this ball too.
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
        runs: Threat, run id and lines of each run; at least one line each.

    Returns:
        One point a run, by norm, smallest radius first.
    """
    points, worst, norm = [], dict[int, float](), ""
    for threat, run_id, lines in sorted(runs, key=lambda run: (run[0].norm, run[0].eps)):
        own = dict(zip((line.id for line in lines), map(float, shares(lines)), strict=True))
        before = worst if threat.norm == norm else dict.fromkeys(own, 1.0)
        worst = {sample: min(before[sample], share) for sample, share in own.items() if sample in before}
        norm = threat.norm
        points.append(
            Point(
                threat=threat, run_id=run_id, n=len(worst), robust=mean_share(np.array(list(own.values()))),
                worst=mean_share(np.array(list(worst.values()))),
            )
        )  # fmt: skip
    return points
