"""The runs of a baseline, each with the run to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.figures.runs import CLEAN, ROBUST, Run
from bench.records.spec import differences, of_code

PREDICTIONS = (CLEAN, ROBUST)


@dataclass(frozen=True, eq=False)
class Pair:
    """One row of a baseline.

    Arguments:
        before: The baseline's run.
        after: The run to compare with; None if there is none.
        changed: The differences of their specs, as phrases.
        recoded: The differences of source code alone, as phrases.
    """

    before: Run
    after: Run | None
    changed: list[str]
    recoded: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Defense, attack, data set and threat."""
        return row_name(self.before)

    @property
    def deterministic(self) -> bool:
        """Whether the defense claims to be deterministic, in the baseline."""
        return self.before.header.deterministic

    @property
    def common(self) -> list[int]:
        """Ids of the baseline's images that the other run has too, in the baseline's order."""
        return [sample for sample in self.before.ids.tolist() if self.after and sample in self.after.row_of]

    def rows(self, run: Run) -> np.ndarray:
        """The rows of the common images in one of the two runs."""
        return np.array([run.row_of[sample] for sample in self.common], dtype=np.int64)

    def differing(self, which: str) -> np.ndarray:
        """Whether the predictions of each common image differ, bool `(n,)`."""
        if self.after is None:
            return np.zeros(0, dtype=bool)
        before, after = (getattr(run, which)[self.rows(run)] for run in (self.before, self.after))
        if before.shape != after.shape:
            return np.ones(len(before), dtype=bool)
        return (before != after).any(axis=1)

    def shares(self, which: str) -> tuple[np.ndarray, np.ndarray]:
        """Shares of right draws of the common images, in the baseline and now, `(n,)` each."""
        runs = [run for run in (self.before, self.after) if run is not None]
        before, after = (run.shares(which)[self.rows(run)] for run in runs)
        return before, after


def row_name(run: Run) -> str:
    """Defense, attack, data set and threat of a run."""
    spec, labels = run.spec, run.header.labels
    seed = f", seed {spec.seed}" if spec.seed else ""
    return f"{labels.defense} under {labels.attack} ({spec.dataset.name} {spec.threat}{seed})"


def pair_up(before: Sequence[Run], after: Sequence[Run]) -> list[Pair]:
    """Pairs each run of the baseline with the run of the same id, else with the most similar run of the same names.

    A run with the id of one row is compared with no other row.
    """
    taken = {run.run_id for run in before}
    return [
        _pair(run, [other for other in after if other.run_id == run.run_id or other.run_id not in taken])
        for run in before
    ]


def _pair(run: Run, candidates: Sequence[Run]) -> Pair:
    same = [other for other in candidates if other.run_id == run.run_id]
    alike = same or [other for other in candidates if _names(other) == _names(run)]
    compared = [(differences(run.spec, other.spec), other) for other in alike]
    if not compared:
        return Pair(run, None, [])
    changed, other = min(compared, key=lambda part: (len(part[0]), part[1].run_id))
    recoded = [phrase for phrase in changed if of_code(phrase)]
    return Pair(run, other, [phrase for phrase in changed if phrase not in recoded], recoded)


def _names(run: Run) -> tuple[str, ...]:
    spec = run.spec
    return (spec.dataset.name, spec.threat, spec.defense.name, spec.attack.name, str(spec.seed))
