"""What scores that were made again say of a record: equal predictions, margins that agree, fresh draws as expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.compare.findings import CLOSE, Finding, Flip
from bench.figures.runs import CLEAN, ROBUST, Run
from bench.verify.fresh import LEVEL, fresh_mean

AGREE = 1e-4
"""By which margins may differ in the record's own environment, relative to the margin or to 1: threads sum in other orders."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What images give here and now.

    Arguments:
        ids: Sample ids, `(n,)`.
        predictions: `(n, k)`.
        margins: `(n, k)`.
    """

    ids: np.ndarray
    predictions: np.ndarray
    margins: np.ndarray


@dataclass(frozen=True)
class Judge:
    """Compares scores with those of a record.

    Arguments:
        run: The record.
        same: Whether the scores were made in its environment, where they have to be equal.
    """

    run: Run
    same: bool

    def ball(self, outside: Sequence[int]) -> Finding:
        """Whether every stored image lies where it may.

        Arguments:
            outside: Ids of those that do not.
        """
        check = "ball and box"
        if outside:
            return Finding(
                check=check, passed=False, flips=[self._flip(sample, ROBUST) for sample in outside],
                detail=f"images {list(outside)[:5]} are outside the ball or [0, 1], or not at their recorded distance",
            )  # fmt: skip
        return Finding(
            check=check,
            passed=True,
            detail=f"every stored image lies in {self.run.spec['threat']} around the data set's own",
        )

    def compare(self, which: str, scored: Scored) -> list[Finding]:
        """Predictions that have to be equal, and for attacked images their margins.

        Arguments:
            which: `clean` or `adversarial`.
            scored: What these images give here.
        """
        rows = np.array([self.run.row_of[sample] for sample in scored.ids.tolist()], dtype=np.int64)
        recorded = np.array([self.run.lines[row].margin for row in rows]) if which == ROBUST else scored.margins
        other = getattr(self.run, which)[rows] != scored.predictions
        wrong = (other & ((np.abs(recorded) >= CLOSE) | self.same)).any(axis=1)
        check = f"{'clean' if which == CLEAN else 'adversarial'} predictions"
        flips = [self._flip(sample, which, scored.predictions[place].tolist()) for place, sample in enumerate(scored.ids.tolist()) if wrong[place]]  # fmt: skip
        near = int(other.any(axis=1).sum()) - len(flips)
        detail = f"{len(flips)} of {len(rows)} images are predicted otherwise" if flips else f"{len(rows)} images are predicted as recorded" + (f", but for {near} with margins below {CLOSE:g}" if near else "")  # fmt: skip
        findings = [Finding(check=check, passed=not flips, detail=detail, flips=flips)]
        return findings if which == CLEAN else [*findings, self._margins(scored, recorded)]

    def _margins(self, scored: Scored, recorded: np.ndarray) -> Finding:
        apart = np.abs(scored.margins - recorded) / np.maximum(1, np.abs(recorded))
        wrong = scored.ids[(apart > AGREE).any(axis=1)].tolist()
        much = f"up to {apart.max():.1e}, more than {AGREE:g}" if wrong and self.same else f"at most {apart.max():.1e}"
        detail = f"they differ by {much}, relative to the margin or to 1"
        if not self.same:
            passed = None if wrong else True  # rounding differs between environments: more than that is not judged
            return Finding(check="margins", passed=passed, detail=f"{detail}, in another environment than the record's")
        return Finding(check="margins", passed=not wrong, detail=f"{detail}, in the record's own environment", flips=[self._flip(sample, ROBUST) for sample in wrong])  # fmt: skip

    def fresh(self, ids: np.ndarray, predictions: np.ndarray) -> Finding:
        """One fresh draw of each stored image against its recorded ones.

        Arguments:
            ids: Sample ids.
            predictions: Under the fresh draw, `(n,)`.
        """
        rows = np.array([self.run.row_of[sample] for sample in ids.tolist()], dtype=np.int64)
        mean = fresh_mean(self.run.hits(ROBUST)[rows], predictions == self.run.labels[rows])
        detail = f"{100 * mean.value:.1f} % right, expected {100 * mean.low:.1f} to {100 * mean.high:.1f} % (an honest record fails once in {1 / LEVEL:.0f})"
        if self.run.spec["attack"].get("knowledge") == "known":
            return Finding(
                check="fresh draws", passed=None, detail=f"{detail}; the attack was made for the recorded draws"
            )
        return Finding(check="fresh draws", passed=mean.inside, detail=detail)

    def _flip(self, sample: int, which: str, after: list[int] | None = None) -> Flip:
        line = self.run.lines[self.run.row_of[sample]]
        before = getattr(line, which)
        margin = min(map(abs, line.margin)) if which == ROBUST else None
        return Flip(sample, line.label, which, before, before if after is None else after, margin)
