"""What the command line shows while a run is under way."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from bench.text.words import duration, percent

if TYPE_CHECKING:
    from bench.pace import TimeToGo
    from bench.records.lines import SampleRecord


class Progress:
    """Images done, robust so far with its interval, and time to go, on stderr; one line a shard where that is no terminal.

    Arguments:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[images]}"),
            TextColumn("{task.fields[robust]}"), TimeElapsedColumn(), TextColumn("{task.fields[left]}"),
            console=self.console, transient=True, disable=quiet or not self.console.is_terminal,
        )  # fmt: skip
        self.lines: list[SampleRecord] = []
        self.total = 0
        self.clock: TimeToGo | None = None
        self.fields: dict[str, Any] = {}

    def __enter__(self) -> Progress:
        self.bar.start()
        self.task = self.bar.add_task("loading", total=None, images="", robust="", left="")
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def started(self, lines: list[SampleRecord], total: int) -> None:
        """Shows where the run goes on."""
        from bench.pace import TimeToGo
        from bench.records.record import SHARD

        self.lines, self.total, self.clock = list(lines), total, TimeToGo(total, len(lines))
        self.fields = self._fields()
        self.bar.update(self.task, description="attacking", total=total, completed=len(lines), **self.fields)
        if lines and len(lines) < total:
            self.console.print(f"going on after {len(lines)} of {total} images")
        elif len(lines) < total and not self.console.is_terminal:
            self.console.print(f"attacking {total} images; a line after each shard of {SHARD}")

    def working(self, done: float, standing: int, images: int) -> None:
        """Moves the bar inside a shard."""
        if self.clock:
            self.clock.working(done, images)
        fields = self.fields | {
            "images": f"{len(self.lines)}/{self.total} images; {standing} of the {images} at hand still stand", "left": self._left(),
        }  # fmt: skip
        self.bar.update(self.task, completed=min(len(self.lines) + done * images, self.total), **fields)

    def finished(self, lines: list[SampleRecord]) -> None:
        """Counts a shard."""
        self.lines += lines
        if self.clock:
            self.clock.finished(len(lines))
        self.fields = fields = self._fields()
        self.bar.update(self.task, completed=len(self.lines), **fields)
        if not self.console.is_terminal:
            left = f", {fields['left']}" if fields["left"] else ""
            self.console.print(f"{fields['images']}, {fields['robust']}{left}")

    def _left(self) -> str:
        seconds = self.clock.seconds() if self.clock and len(self.lines) < self.total else None
        return "" if seconds is None else f"{duration(seconds)} to go"

    def _fields(self) -> dict[str, Any]:
        if not self.lines:
            return {"images": f"0/{self.total} images", "robust": "", "left": ""}
        from bench.figures.summary import shares
        from bench.stats.intervals import mean_share

        robust = mean_share(shares(self.lines))
        return {
            "images": f"{len(self.lines)}/{self.total} images",
            "robust": f"robust so far {percent(robust.as_dict())}",
            "left": self._left(),
        }


class Notices(logging.Handler):
    """Writes what the package says on the way (downloads, remarks on models) to stderr, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line to whatever stderr is now."""
        sys.stderr.write(self.format(record) + "\n")


def show_notices(*, quiet: bool) -> None:
    """Shows the package's notices from now on, or none of them."""
    log = logging.getLogger("bench")
    log.handlers = [logging.NullHandler() if quiet else Notices()]
    log.setLevel(logging.INFO)
