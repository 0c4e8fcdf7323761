"""Another attack on the audited images, and how its record is made."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from bench.engines.here import Here
from bench.job import Job
from bench.records import SampleRecord
from bench.threat import ThreatModel

BRIEF: Mapping[str, Any] = {"steps": 10, "losses": ("cw",)}
"""Arguments of PGD in a quick audit, a quarter of the default's gradients."""
FEW = 5
"""Fresh draws in each gradient of a quick audit."""


@dataclass(frozen=True)
class Rival:
    """Another attack on the audited images.

    Arguments:
        attack: Name of the preset.
        args: Its arguments.
        threat: Its ball; None for the run's own.
    """

    attack: str
    args: Mapping[str, Any]
    threat: ThreatModel | None = None

    def words(self, named: Container[str]) -> list[str]:
        """Its arguments of these names, on the command line."""
        return [word for key, value in self.args.items() if key in named for word in ("-A", f"{key}={_text(value)}")]


class Trusting(Here):
    """One worker for other attacks on a defense whose claims were verified when the audited run was made."""

    def __init__(self, checks: dict[str, Any]) -> None:
        super().__init__()
        self.checks = checks

    def claims(self, job: Job) -> dict[str, Any]:
        """What was verified then."""
        return self.checks


class Silent:
    """Hears nothing of runs."""

    def started(self, lines: list[SampleRecord], total: int) -> None:
        """Nothing."""

    def working(self, done: float, standing: int, images: int) -> None:
        """Nothing."""

    def finished(self, lines: list[SampleRecord]) -> None:
        """Nothing."""


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
