"""The findings of gates and verifications, and the images behind them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.stats.intervals import Interval

CLAIMS = "checks of the defense"
"""Name of the gate's check that no check of the defense fails which passed before."""
CLOSE = 1e-3
"""Another processor's rounding can change predictions whose recorded margin is smaller."""


@dataclass(frozen=True)
class Flip:
    """An image whose predictions changed.

    Arguments:
        sample: Its id.
        label: Its class.
        which: `clean` or `adversarial`.
        before: Its predictions in the baseline, one per draw.
        after: Its predictions now.
        margin: The smallest recorded margin in the baseline, without its sign; None on clean images.
    """

    sample: int
    label: int
    which: str
    before: list[int]
    after: list[int]
    margin: float | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check on one row.

    Arguments:
        check: Name of the check.
        passed: Whether it passed; None if it could not be made.
        detail: What was found, in one sentence.
        flips: The images behind it.
    """

    check: str
    passed: bool | None
    detail: str
    flips: list[Flip] = field(default_factory=list)


def judged(check: str, problem: str, good: str, flips: Sequence[Flip] = ()) -> Finding:
    """A finding that fails with the problem if there is one, else passes.

    Arguments:
        check: Name of the check.
        problem: The problem, empty if there is none.
        good: The detail if there is none.
        flips: The images behind the problem.
    """
    return Finding(check=check, passed=not problem, detail=problem or good, flips=list(flips))


@dataclass(frozen=True, kw_only=True)
class Change:
    """The paired comparison of one row with its baseline, on clean or on adversarial images.

    Arguments:
        which: `clean` or `adversarial`.
        before: Accuracy in the baseline.
        after: Accuracy now.
        difference: After minus before.
        lost: Images that were right and are wrong (a smaller share of draws, for a stochastic defense).
        won: The reverse.
        p: Exact two-sided p-value.
        corrected: The same after Holm over all comparisons whose predictions changed.
    """

    which: str
    before: Interval
    after: Interval
    difference: Interval
    lost: int
    won: int
    p: float
    corrected: float


@dataclass(frozen=True, kw_only=True)
class RowReport:
    """All findings on one row of the baseline.

    Arguments:
        name: Defense, attack, data set and threat.
        run_id: The baseline's run.
        result_id: The run that was judged; None if there is none.
        tier: `exact` or `statistical`; `missing` if there is nothing to compare with.
        n: Images compared.
        findings: One per check.
        changes: Paired comparisons.
        power: What the statistical tier can catch here; empty in the exact tier.
        accuracy: Clean and robust accuracy on the images compared, `[before, after]` each; empty if there is nothing to compare with.
        other_code: The parts of the result whose code changed, as phrases.
    """

    name: str
    run_id: str
    result_id: str | None = None
    tier: str
    n: int
    findings: list[Finding]
    changes: list[Change] = field(default_factory=list)
    power: str = ""
    accuracy: dict[str, list[float]] = field(default_factory=dict)
    other_code: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(finding.passed is not False for finding in self.findings)


@dataclass(frozen=True, kw_only=True)
class Report:
    """All rows of a baseline, and what concerns several of them."""

    rows: list[RowReport]
    together: list[Finding]

    @property
    def passed(self) -> bool:
        """Whether the gate is green."""
        return all(row.passed for row in self.rows) and all(finding.passed is not False for finding in self.together)


def summed_up(findings: Iterable[Finding]) -> str:
    """The failed checks in one line."""
    return "; ".join(f"{finding.check}: {finding.detail}" for finding in findings if finding.passed is False)
