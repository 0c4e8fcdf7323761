"""The progress of a run on stderr, and notices of the package."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.text.words import duration

if TYPE_CHECKING:
    from bench.records.lines import SampleRecord


class Progress:
    """Shows images done, images unbroken so far, and time left; without a terminal, one line per shard.

    Arguments:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),  # with the texts it fits 80 characters
            TextColumn("{task.fields[state]}"),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self.lines: list[SampleRecord] = []
        self.total = self.done_before = 0
        self.position = self.start_time = self.unbroken = 0.0

    def __enter__(self) -> Progress:
        self.bar.start()
        self.task = self.bar.add_task("loading", total=None, state="")
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def started(self, lines: list[SampleRecord], total: int) -> None:
        """Shows how many images are done when the run begins or resumes."""
        from bench.records.record import SHARD

        self.lines, self.total, self.done_before = list(lines), total, len(lines)
        self.position, self.start_time, self.unbroken = float(len(lines)), time.monotonic(), _unbroken(lines)
        self.bar.update(self.task, description="attacking", total=total)
        self._move(len(lines), self.unbroken)
        if lines and len(lines) < total:
            self.console.print(f"resuming after {len(lines)} of {total} images")
        elif len(lines) < total and not self.console.is_terminal:
            self.console.print(f"attacking {total} images; a line after each shard of {SHARD}")

    def working(self, done: float, unbroken: int, images: int) -> None:
        """Moves the bar inside a shard."""
        self._move(len(self.lines) + done * images, self.unbroken + unbroken)

    def finished(self, lines: list[SampleRecord]) -> None:
        """Adds the images of a finished shard."""
        self.lines += lines
        self.unbroken += _unbroken(lines)
        # The shards of other workers are in progress too, so the position never goes back.
        state = self._move(max(self.position, len(self.lines)), self.unbroken)
        if not self.console.is_terminal:
            self.console.print(state)

    def _move(self, position: float, unbroken: float) -> str:
        """Shows and returns `12/30 done, 19 unbroken, 2 min left`, by the mean pace since the start.

        Arguments:
            position: Images done, those in progress in part.
            unbroken: Images that no attack has broken so far, those in progress among them.
        """
        self.position = min(position, self.total)
        made, parts = self.position - self.done_before, [f"{self.position:.0f}/{self.total} done"]
        parts += [f"{unbroken:.0f} unbroken"] if self.position else []
        if made and len(self.lines) < self.total:
            elapsed = time.monotonic() - self.start_time
            parts.append(f"{duration(elapsed * (self.total - self.position) / made)} left")
        state = ", ".join(parts)
        self.bar.update(self.task, completed=self.position, state=state)
        return state


def _unbroken(lines: Sequence[SampleRecord]) -> float:
    """The number of images that are right under attack; shares of draws add up."""
    from bench.figures.summary import shares

    return float(shares(list(lines)).sum()) if lines else 0.0


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
