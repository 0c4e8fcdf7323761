"""The findings of gates and verifications, with the images that they concern."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.stats.intervals import Interval

CLAIMS = "checks of the defense"
"""The gate's check of the defense's own checks: none may fail that passed in the baseline."""
OTHER_CODE = "by other code"
"""Marks a finding that passed although the source code changed; reports show it."""
CLOSE = 1e-3
"""The rounding of another processor can change predictions with a smaller recorded margin."""


@dataclass(frozen=True)
class Flip:
    """An image whose predictions changed.

    Arguments:
        sample: The image's id.
        label: The image's class.
        which: `clean` or `adversarial`.
        before: Predictions in the baseline, one per draw.
        after: Predictions now.
        margin: The smallest absolute margin in the baseline; None on clean images.
    """

    sample: int
    label: int
    which: str
    before: list[int]
    after: list[int]
    margin: float | None = None

    @property
    def changed_sides(self) -> bool:
        """Whether some draw became right or wrong, and not only another wrong class."""
        return [part == self.label for part in self.before] != [part == self.label for part in self.after]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check on one row.

    Arguments:
        check: Name of the check.
        passed: Whether it passed; None if it was not possible.
        detail: The result in one sentence.
        flips: The images concerned.
    """

    check: str
    passed: bool | None
    detail: str
    flips: list[Flip] = field(default_factory=list)


def judged(check: str, problem: str, good: str, flips: Sequence[Flip] = ()) -> Finding:
    """A finding that fails if there is a problem, else passes.

    Arguments:
        check: Name of the check.
        problem: The problem, empty if there is none.
        good: The detail if there is none.
        flips: The images concerned.
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
        lost: Images that were right and are wrong; for a stochastic defense, images with a smaller share of right draws.
        won: The reverse.
        p: Exact two-sided p-value.
        corrected: The p-value after Holm over all comparisons whose predictions changed.
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
        run_id: The run in the baseline.
        result_id: The run that was judged; None if there is none.
        tier: `exact` or `statistical`; `missing` if there is nothing to compare with.
        n: Images compared.
        findings: One per check.
        changes: Paired comparisons.
        power: The power of the statistical tier in words; empty in the exact tier.
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
    """The reports on all rows of a baseline, and the findings on several rows together."""

    rows: list[RowReport]
    together: list[Finding]

    @property
    def passed(self) -> bool:
        """Whether the gate passed."""
        return all(row.passed for row in self.rows) and all(finding.passed is not False for finding in self.together)


def summed_up(findings: Iterable[Finding]) -> str:
    """The failed checks in one line."""
    return "; ".join(f"{finding.check}: {finding.detail}" for finding in findings if finding.passed is False)
