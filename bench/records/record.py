"""The record of a run as it lies on disk: header, one line per image, adversarial images, seal."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import UserError
from bench.files.links import check_links
from bench.records.header import Header, read_header
from bench.records.lines import SampleRecord, read_lines
from bench.records.lookup import results_of
from bench.records.seal import SEAL

SHARD = 50
"""Consecutive positions of a data set's order that run together."""


@dataclass(frozen=True)
class Record:
    """A record as it was read.

    Arguments:
        path: Its folder.
        header: Its header.
        lines: The images that are done, in the order in which they were done.
        sealed: Whether it is complete and carries `SHA256SUMS`.
        torn: Whether its last line was not written to its end, and is left out.
    """

    path: Path
    header: Header
    lines: list[SampleRecord] = field(default_factory=list)
    sealed: bool = False
    torn: bool = False

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.header.run_id

    @property
    def results(self) -> Path:
        """Folder of all records, in which this one lies."""
        return results_of(self.path)


def read_record(path: Path) -> Record:
    """Reads a record; a torn last line is left out.

    Raises:
        UserError: There is none, it has another format, a part of it is damaged, or a link in it leads out of it.
    """
    check_links(path)
    header = read_header(path)
    file = path / "samples.jsonl"
    lines, size = read_lines(file)
    torn = file.exists() and file.stat().st_size != size
    return Record(path, header, lines, (path / SEAL).exists(), torn)


def no_images(path: Path) -> UserError:
    """The error of a command that needs finished images, for a record that has none yet."""
    return UserError("record-empty", path=path)
