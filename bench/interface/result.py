"""The result of a run: estimates, one row per image, and the adversarial images."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.console.run import summary_text
from bench.errors import UserError
from bench.figures.summary import summarise
from bench.records.evidence import read_evidence
from bench.records.header import Header
from bench.records.lines import SampleRecord
from bench.records.record import Record, read_record
from bench.stats.intervals import Interval

if TYPE_CHECKING:
    import pandas
    from torch import Tensor

    from bench.interface.asked import Asked


class Result:
    """A finished run, read from its record.

    Arguments:
        path: Folder of the record.
        ids: Ids of the images that count; None for all in the record.
        asked: The objects that made it, for `bench.verify` and `bench.audit`; None for a record that was read.
    """

    def __init__(self, path: Path, *, ids: np.ndarray | None = None, asked: Asked | None = None) -> None:
        self.path, self.asked = path, asked
        self._ids = ids

    @cached_property
    def record(self) -> Record:
        """The record as it was read."""
        return read_record(self.path)

    @property
    def header(self) -> Header:
        """What the run was, and what was measured of its parts."""
        return self.record.header

    @property
    def run_id(self) -> str:
        """The id of the run: the name of its folder."""
        return self.record.run_id

    @property
    def spec(self) -> dict[str, Any]:
        """The content of the run id, as JSON."""
        return self.header.document["spec"]

    @cached_property
    def lines(self) -> list[SampleRecord]:
        """The line of each image, by id."""
        wanted = None if self._ids is None else set(self._ids.tolist())
        found = [line for line in self.record.lines if wanted is None or line.id in wanted]
        if not found:
            raise UserError("result-empty")
        return sorted(found, key=lambda line: line.id)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The document of `bench run --json`."""
        return summarise(self.record, self.lines)

    @property
    def n(self) -> int:
        """The number of images."""
        return len(self.lines)

    @property
    def clean(self) -> Interval:
        """Accuracy of the purified classifier without an attack: `.value`, `.low`, `.high`, `.n`."""
        return Interval(**self.summary["clean_accuracy"])

    @property
    def robust(self) -> Interval:
        """Accuracy under the attack: `.value`, `.low`, `.high`, `.n`."""
        return Interval(**self.summary["robust_accuracy"])

    @cached_property
    def samples(self) -> pandas.DataFrame:
        """One row per image, by id: label, predictions, shares of right draws, margin, distance, passes and seconds."""
        from bench.interface.frames import samples_frame

        return samples_frame(self.lines)

    @cached_property
    def adversarial(self) -> Tensor:
        """The attacked images, float32 `(n, C, H, W)`, in the order of `samples`."""
        import torch

        stored = read_evidence(self.path)
        found = stored.of([line.id for line in self.lines]) if stored else None
        if found is None or len(found) < self.n:
            raise UserError(
                "images-not-stored", n=self.n, path=self.path, got="fewer" if stored else "none: evidence=False"
            )
        return torch.from_numpy(found.images)

    def __str__(self) -> str:
        return summary_text(self.summary, self.header.labels.model_dump(), self.header.notes)

    def __repr__(self) -> str:
        labels = self.header.labels
        return (
            f"<Result {self.run_id}: {labels.defense} under {labels.attack}, clean {self.clean}, robust {self.robust}, "
            f"n = {self.n}>"
        )
