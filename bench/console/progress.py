"""What the command line shows while a run is under way."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

from bench.text.words import duration, percent

if TYPE_CHECKING:
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
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[images]}"),
            TextColumn("{task.fields[robust]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self.lines: list[SampleRecord] = []
        self.total = self.begun = 0
        self.through = self.since = 0.0

    def __enter__(self) -> Progress:
        self.bar.start()
        self.task = self.bar.add_task("loading", total=None, images="", robust="", left="")
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def started(self, lines: list[SampleRecord], total: int) -> None:
        """Shows how many images are done."""
        from bench.records.record import SHARD

        self.lines, self.total, self.begun = list(lines), total, len(lines)
        self.through, self.since = float(len(lines)), time.monotonic()
        self.bar.update(self.task, description="attacking", total=total, robust=self._robust())
        self._move(len(lines), f"{len(lines)}/{total} images")
        if lines and len(lines) < total:
            self.console.print(f"going on after {len(lines)} of {total} images")
        elif len(lines) < total and not self.console.is_terminal:
            self.console.print(f"attacking {total} images; a line after each shard of {SHARD}")

    def working(self, done: float, standing: int, images: int) -> None:
        """Moves the bar inside a shard."""
        count = f"{len(self.lines)}/{self.total} images; {standing} of the {images} at hand still stand"
        self._move(len(self.lines) + done * images, count)

    def finished(self, lines: list[SampleRecord]) -> None:
        """Counts a shard."""
        self.lines += lines
        count, robust = f"{len(self.lines)}/{self.total} images", self._robust()
        self.bar.update(self.task, robust=robust)
        left = self._move(max(self.through, len(self.lines)), count)  # what other workers have begun still counts
        if not self.console.is_terminal:
            self.console.print(", ".join(part for part in (count, robust, left) if part))

    def _move(self, through: float, count: str) -> str:
        """Shows how far the run is; the time to go, at the mean pace since its start."""
        self.through = min(through, self.total)
        made, left = self.through - self.begun, ""
        if made and len(self.lines) < self.total:
            left = f"{duration((time.monotonic() - self.since) * (self.total - self.through) / made)} to go"
        self.bar.update(self.task, completed=self.through, images=count, left=left)
        return left

    def _robust(self) -> str:
        if not self.lines:
            return ""
        from bench.figures.summary import shares
        from bench.stats.intervals import mean_share

        return f"robust so far {percent(mean_share(shares(self.lines)).as_dict())}"


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
