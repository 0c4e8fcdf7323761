"""The options and the result of a verification."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench.compare.findings import Finding
from bench.errors import UserError


class Reporter(Protocol):
    """Receives the progress of a verification."""

    def scored(self, done: int, total: int) -> None:
        """`done` of `total` images have been scored again."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a verification.

    Arguments:
        device: As on the command line.
        batch_size: Images in one network call; the record's if left out.
        data_dir: Folder of the data sets.
        allow_code: Whether code that the record names by path or module may run.
    """

    device: str = "auto"
    batch_size: int | None = None
    data_dir: Path | None = None
    allow_code: bool = False

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise UserError("verify-batch-size", batch_size=self.batch_size)


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The findings on one record.

    Arguments:
        run: The record as the user named it.
        run_id: The run's id; empty if the record is too damaged to tell.
        findings: One per check, also if it was not possible.
        unchecked: The claims that were not checked, as phrases.
    """

    run: str
    run_id: str = ""
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(finding.passed is not False for finding in self.findings)

    @property
    def differing(self) -> list[int]:
        """Ids of the images on which a check failed, sorted."""
        return sorted({flip.sample for finding in self.findings if finding.passed is False for flip in finding.flips})

    def as_dict(self) -> dict[str, Any]:
        """The verification as JSON."""
        return {
            "run": self.run,
            "run_id": self.run_id,
            "verified": self.passed,
            "differing": self.differing,
            "findings": [asdict(finding) for finding in self.findings],
            "unchecked": self.unchecked,
        }
