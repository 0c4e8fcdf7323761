"""The result of a check, and the verdict of an audit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

PASS, SUSPECT, REFUTED, SKIPPED = "pass", "suspect", "refuted", "skipped"
BELIEVED, UNCHECKED = "believed", "unchecked"
QUICK, FULL = "quick", "full"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check of a run.

    Arguments:
        name: The check's name in the table; empty until the session fills it in.
        verdict: `pass`; `suspect`: a symptom of a number that is too high; `refuted`: adversarial images or predictions
            contradict the number; `skipped`: the check does not apply.
        values: What was measured.
        threshold: The limits of the values, in words.
        meaning: One sentence: the conclusion and what to do, or why the check was skipped.
        command: The command that would settle the doubt; empty if there is none.
        n: Number of images.
        size: `quick` or `full`.
        predicted: The predicted network passes and seconds.
        seconds: The seconds that it took.
    """

    name: str = ""
    verdict: str
    values: dict[str, Any] = field(default_factory=dict)
    threshold: str = ""
    meaning: str = ""
    command: str = ""
    n: int = 0
    size: str = QUICK
    predicted: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def fired(self) -> bool:
        """Whether the check is evidence against the number."""
        return self.verdict in (SUSPECT, REFUTED)

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self)


def skipped(why: str) -> Finding:
    """The result of a check that does not apply."""
    return Finding(verdict=SKIPPED, meaning=why)


def verdict_of(findings: Iterable[Finding], wanted: Iterable[str]) -> str:
    """The audit's verdict: that of its worst check; `unchecked` if none fired and one of the wanted checks is missing.

    Arguments:
        findings: The findings.
        wanted: Names of the checks of a complete audit.
    """
    found = {finding.name: finding.verdict for finding in findings}
    for verdict in (REFUTED, SUSPECT):
        if verdict in found.values():
            return verdict
    return BELIEVED if set(wanted) <= set(found) else UNCHECKED


def flags_of(findings: Iterable[Finding]) -> list[str]:
    """The remarks of a table on the run: the checks that fired."""
    return [f"audit: {finding.name} {finding.verdict}" for finding in findings if finding.fired]
