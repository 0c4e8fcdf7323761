"""What a check found, as data; and what all findings of an audit come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

PASS, SUSPECT, REFUTED, SKIPPED = "pass", "suspect", "refuted", "skipped"
BELIEVED, UNCHECKED = "believed", "unchecked"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check of one run.

    Arguments:
        name: The check's name in the table; empty until the session fills it in.
        verdict: `pass`; `suspect`: a symptom of a number that is too high; `refuted`: adversarial images or predictions in
            hand contradict the number; `skipped`: the check does not apply.
        values: What was measured.
        threshold: What the values were held against, in words.
        meaning: One sentence: what this means and what to do, or why the check was skipped.
        command: What would settle it; empty if nothing needs to be settled.
        n: Number of images.
        size: `quick` or `full`.
        predicted: Network passes and seconds that were foreseen.
        seconds: What it took.
    """

    name: str = ""
    verdict: str
    values: dict[str, Any] = field(default_factory=dict)
    threshold: str = ""
    meaning: str = ""
    command: str = ""
    n: int = 0
    size: str = "quick"
    predicted: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def fired(self) -> bool:
        """Whether it speaks against the number."""
        return self.verdict in (SUSPECT, REFUTED)

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self)


def skipped(why: str) -> Finding:
    """A check that does not apply; the session fills in the rest."""
    return Finding(verdict=SKIPPED, meaning=why)


def verdict_of(findings: Iterable[Finding], wanted: Iterable[str]) -> str:
    """The audit's verdict: that of its worst check; `unchecked` while one of the wanted checks is missing and none fired.

    Arguments:
        findings: What there is.
        wanted: Names of the checks that make an audit complete.
    """
    found = {finding.name: finding.verdict for finding in findings}
    for verdict in (REFUTED, SUSPECT):
        if verdict in found.values():
            return verdict
    return BELIEVED if set(wanted) <= set(found) else UNCHECKED


def flags_of(findings: Iterable[Finding]) -> list[str]:
    """What a table says of the run: the checks that fired."""
    return [f"audit: {finding.name} {finding.verdict}" for finding in findings if finding.fired]
