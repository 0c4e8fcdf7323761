"""The progress of a run on stderr, and notices of the package."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

from bench.text.words import duration, percent

if TYPE_CHECKING:
    from bench.records.lines import SampleRecord


class Progress:
    """Shows images done, robust accuracy so far with its interval, and time left; without a terminal, one line per shard.

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
        self.total = self.done_before = 0
        self.position = self.start_time = 0.0

    def __enter__(self) -> Progress:
        self.bar.start()
        self.task = self.bar.add_task("loading", total=None, images="", robust="", left="")
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def started(self, lines: list[SampleRecord], total: int) -> None:
        """Shows how many images are done when the run begins or resumes."""
        from bench.records.record import SHARD

        self.lines, self.total, self.done_before = list(lines), total, len(lines)
        self.position, self.start_time = float(len(lines)), time.monotonic()
        self.bar.update(self.task, description="attacking", total=total, robust=self._robust())
        self._move(len(lines), self._count())
        if lines and len(lines) < total:
            self.console.print(f"resuming after {len(lines)} of {total} images")
        elif len(lines) < total and not self.console.is_terminal:
            self.console.print(f"attacking {total} images; a line after each shard of {SHARD}")

    def working(self, done: float, unbroken: int, images: int) -> None:
        """Moves the bar inside a shard."""
        self._move(len(self.lines) + done * images, f"{self._count()}, {unbroken} of {images} in progress unbroken")

    def finished(self, lines: list[SampleRecord]) -> None:
        """Adds the images of a finished shard."""
        self.lines += lines
        robust = self._robust()
        self.bar.update(self.task, robust=robust)
        # The shards of other workers are in progress too, so the position never goes back.
        left = self._move(max(self.position, len(self.lines)), self._count())
        if not self.console.is_terminal:
            self.console.print(", ".join(part for part in (self._count(), robust, left) if part))

    def _count(self) -> str:
        return f"{len(self.lines)}/{self.total} done"

    def _move(self, position: float, count: str) -> str:
        """Shows the position of the run, in images; returns the time left at the mean pace since the start."""
        self.position = min(position, self.total)
        made, left = self.position - self.done_before, ""
        if made and len(self.lines) < self.total:
            elapsed = time.monotonic() - self.start_time
            left = f"{duration(elapsed * (self.total - self.position) / made)} left"
        self.bar.update(self.task, completed=self.position, images=count, left=left)
        return left

    def _robust(self) -> str:
        if not self.lines:
            return ""
        from bench.figures.summary import shares
        from bench.stats.intervals import mean_share

        return f"robust so far {percent(mean_share(shares(self.lines)).as_dict())}"


class Notices(logging.Handler):
    """Writes notices of the package (downloads, remarks on models) to stderr, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line to the current stderr."""
        sys.stderr.write(self.format(record) + "\n")


def show_notices(*, quiet: bool) -> None:
    """Shows the notices of the package from now on; none of them if `quiet`."""
    log = logging.getLogger("bench")
    log.handlers = [logging.NullHandler() if quiet else Notices()]
    log.setLevel(logging.INFO)
