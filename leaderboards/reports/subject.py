"""A run as a report shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.audit.document import read_audit
from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.figures.runs import Run, read_run
from bench.figures.summary import summarise
from bench.records.record import Record, read_record
from leaderboards.reports.dataset import dataset_of


@dataclass(frozen=True, eq=False)
class Subject:
    """A run with all that is said about it.

    Arguments:
        name: `A` or `B` among two; empty for one.
        record: Its record.
        run: The same as arrays.
        summary: Its figures.
        audit: Its audit; None without one.
        dataset: Its data set; None if it is not available.
    """

    name: str
    record: Record
    run: Run
    summary: dict[str, Any]
    audit: dict[str, Any] | None
    dataset: Dataset | None

    @property
    def title(self) -> str:
        """Defense and attack."""
        labels = self.run.header.labels
        return f"{labels.defense} under {labels.attack}"

    @property
    def heading(self) -> str:
        """The title, after the name among two."""
        return f"{self.name}: {self.title}" if self.name else self.title

    def class_name(self, label: int) -> str:
        """The name of a class, or its number."""
        known = self.dataset is not None and 0 <= label < len(self.dataset.classes)
        return str(self.dataset.classes[label]) if known and self.dataset is not None else str(label)


def subject(path: Path, name: str = "") -> Subject:
    """Reads a record for a report.

    Raises:
        UserError: The record is damaged, or has no finished images.
    """
    record, run = read_record(path), read_run(path)
    if not record.lines:
        raise UserError("report-run-empty", path=path)
    return Subject(name, record, run, summarise(record, record.lines), read_audit(path), dataset_of(run))
