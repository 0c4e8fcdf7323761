"""The progress, outlook and results of a suite, as text."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench.files.documents import printable
from bench.text.columns import columns
from bench.text.words import counted, duration, passes_text, percent

if TYPE_CHECKING:
    from rich.console import Group

    from bench.run.prediction import Prediction
    from bench.suite.cells import Cell
    from bench.suite.finished_cells import Figures
    from bench.suite.outcome import Outcome
    from bench.suite.outlook import Outlook

SEPARATOR = " · "
ROWS = 12
"""Rows of the live table: cells in progress, and the cells that ended last."""


class SuiteProgress:
    """Shows a live table of cells on stderr; without a terminal, one line per shard and cell.

    Arguments:
        cells: The cells of the suite.
        quiet: Show nothing.
    """

    def __init__(self, cells: Sequence[Cell], *, quiet: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True, markup=False)
        self.shown = self.console.is_terminal and not quiet
        self.cells, self.labels, self.started = cells, short_labels(cells)[0], time.monotonic()
        self.images: dict[Cell, list[float]] = {}
        self.ended_cells: list[tuple[str, str]] = []
        self.count, self.made, self.last_notice = 0, 0, ""
        self.live = Live(console=self.console, transient=True, auto_refresh=False, get_renderable=self._table)

    def __enter__(self) -> SuiteProgress:
        if self.shown:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.shown:
            self.live.stop()

    def began(self, cell: Cell, done: int, total: int) -> None:
        """Shows that a cell begins or resumes."""
        self.images[cell] = [done, total, 0.0]
        begins = f"resuming after {done} of {total} images" if done else f"attacking {total} images"
        self._show(f"{self._place()} {self._label(cell)}: {begins}" if done < total else "")

    def working(self, cell: Cell, done: float, unbroken: int, images: int) -> None:
        """Shows the progress of a cell inside a shard."""
        if cell in self.images:
            self.images[cell][2] = done * images
            self._show("")

    def stored(self, cell: Cell, images: int) -> None:
        """Counts the images of a finished shard."""
        row = self.images[cell]
        row[0], row[2], self.made = row[0] + images, 0.0, self.made + images
        self._show(f"{self._place()} {self._label(cell)}: {row[0]:.0f}/{row[1]:.0f} done")

    def ended(self, outcome: Outcome) -> None:
        """Counts a finished or failed cell."""
        self.images.pop(outcome.cell, None)
        self.count += 1
        self.ended_cells = [*self.ended_cells[1 - ROWS :], (self._label(outcome.cell), _result(outcome))]
        self._show(f"{self._place()} {self._label(outcome.cell)}: {_result(outcome)}")

    def waiting(self, cells: int) -> None:
        """Shows once that other processes make the remaining cells."""
        text = f"waiting for {counted(cells, 'cell')} that another process is making"
        if text != self.last_notice:
            self.last_notice = text
            self._show(text, always=True)

    def _label(self, cell: Cell) -> str:
        return self.labels.get(cell.label, cell.label)

    def _place(self) -> str:
        return f"[{self.count}/{len(self.cells)}]"

    def _show(self, line: str, *, always: bool = False) -> None:
        if line and (always or not self.shown):
            self.console.print(printable(line))
        if self.shown:
            self.live.refresh()

    def _table(self) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for label, result in self.ended_cells[-max(1, ROWS - len(self.images)) :]:
            table.add_row(Text(printable(label)), Text(printable(result), style="dim"))
        for cell, (done, total, now) in list(self.images.items())[:ROWS]:
            table.add_row(Text(printable(self._label(cell))), Text(f"{done + now:.0f}/{total:.0f} done"))
        elapsed = time.monotonic() - self.started
        return Group(table, Text(f"{self._place()} cells · {duration(elapsed)}{self._time_left(elapsed)}"))

    def _time_left(self, elapsed: float) -> str:
        """The time for the images that are still missing, at the mean speed so far."""
        now = sum(row[2] for row in self.images.values())
        left = sum(row[1] - row[0] for row in self.images.values()) - now
        waiting = len(self.cells) - self.count - len(self.images)
        sizes = [cell.samples for cell in self.cells if cell.samples]
        left += waiting * (sum(sizes) / len(sizes) if sizes else 0)
        return f" · about {duration(elapsed * left / (self.made + now))} left" if self.made + now > 0 else ""


def short_labels(cells: Sequence[Cell]) -> tuple[dict[str, str], list[str]]:
    """The labels of cells without the parts that all share, by their whole labels; and these parts."""
    whole = [cell.label.split(SEPARATOR) for cell in cells]
    shared = [part for part in whole[0] if all(part in parts for parts in whole)] if len(whole) > 1 else []
    rest = [[part for part in parts if part not in shared] for parts in whole]
    if not all(rest):
        return {cell.label: cell.label for cell in cells}, []
    return {cell.label: SEPARATOR.join(parts) for cell, parts in zip(cells, rest, strict=True)}, shared


def outcome_text(outcomes: Sequence[Outcome]) -> str:
    """The summary of a suite; what all cells share is written once."""
    labels, shared = short_labels([outcome.cell for outcome in outcomes])
    counts = {outcome.figures.n for outcome in outcomes if outcome.figures}
    once = len(outcomes) > 1 and len(counts) == 1
    shared += [f"n = {n}" for n in counts] if once else []
    rows: list[tuple[str, ...]] = [("cell", "n", "clean %", "robust %", "run", "")]
    for outcome in outcomes:
        label, figures = labels[outcome.cell.label], outcome.figures
        if figures is None:
            rows.append((label, "", "", "", "", f"failed: {outcome.error}"))
        else:
            robust = percent(_interval(figures)).replace(" %", "")
            rows.append((label, str(figures.n), f"{100 * figures.clean:.1f}", robust, figures.run_id, ""))
    if once:
        rows = [(row[0], *row[2:]) for row in rows]
    states = _counts([outcome.state for outcome in outcomes], ("made", "done", "failed"))
    head = [f"all cells: {SEPARATOR.join(shared)}", ""] if shared else []
    return "\n".join([*head, columns(rows), "", f"{counted(len(outcomes), 'cell')}: {states}"])


def outcome_documents(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The summary of a suite as JSON."""
    return [
        {
            "cell": outcome.cell.label,
            "state": outcome.state,
            "error": str(outcome.error) if outcome.error else None,
            **(_figures(outcome) if outcome.figures else {}),
        }
        for outcome in outcomes
    ]


def outlook_text(outlooks: Sequence[Outlook], workers: int) -> str:
    """The cells, their state, and the predicted cost of the missing images."""
    labels, shared = short_labels([look.cell for look in outlooks])
    rows: list[tuple[str, ...]] = [("cell", "state", "images missing", "likely", "at most")]
    rows += [(labels[look.cell.label], *_outlook_row(look)) for look in outlooks]
    total = outlook_documents(outlooks, workers)["total"]
    states = _counts([look.state for look in outlooks], ("done", "begun", "new", "wrong"))
    head = [f"all cells: {SEPARATOR.join(shared)}", ""] if shared else []
    lines = [*head, columns(rows), "", f"{counted(len(outlooks), 'cell')}: {states}"]
    likely, most = total["likely"], total["most"]
    if most["passes"]:
        where = f" on {workers} workers" if workers > 1 else ""
        lines.append(f"likely {duration(likely['seconds'])}, at most {duration(most['seconds'])}{where}")
        lines.append(f"likely {passes_text(likely['passes'])}")
    if total["unpredicted"]:
        lines.append(f"{counted(total['unpredicted'], 'cell')} not predicted: the attack states no bound on its work")
    return "\n".join([*lines, "nothing was run or stored"])


def outlook_documents(outlooks: Sequence[Outlook], workers: int) -> dict[str, Any]:
    """The outlook of a suite as JSON."""
    cells = [
        {
            "cell": look.cell.label,
            "state": look.state,
            "missing": look.images,
            "error": str(look.error) if look.error else None,
            **{which: cost and asdict(cost) for which, cost in _costs(look).items()},
        }
        for look in outlooks
    ]
    unpredicted = sum(bool(look.images) and look.forecast is None for look in outlooks)
    costs = [look.forecast for look in outlooks if look.forecast]
    sums = {
        "likely": _sum([cost.likely for cost in costs], workers),
        "most": _sum([cost.most for cost in costs], workers),
    }
    return {"cells": cells, "total": {**sums, "unpredicted": unpredicted}}


def _counts(found: Sequence[str], states: Sequence[str]) -> str:
    """`3 done, 1 failed`: how often each state occurs."""
    counts = Counter(found)
    return ", ".join(f"{counts[state]} {state}" for state in states if counts[state])


def _interval(figures: Figures) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), figures.robust, strict=True))


def _costs(look: Outlook) -> dict[str, Prediction | None]:
    if look.forecast is None:
        return {"likely": None, "most": None}
    return {"likely": look.forecast.likely, "most": look.forecast.most}


def _sum(predictions: Sequence[Prediction], workers: int) -> dict[str, Any]:
    passes: Counter[str] = Counter()
    for prediction in predictions:
        passes.update(prediction.passes)
    return {"seconds": sum(prediction.seconds for prediction in predictions) / workers, "passes": dict(passes)}


def _outlook_row(look: Outlook) -> tuple[str, ...]:
    if look.error:
        return look.state, "", "", str(look.error)
    costs = [duration(cost.seconds) if cost else "?" if look.images else "" for cost in _costs(look).values()]
    return look.state, str(look.images or ""), *costs


def _figures(outcome: Outcome) -> dict[str, Any]:
    figures = outcome.figures
    if figures is None:
        return {}
    return {
        "run_id": figures.run_id,
        "path": figures.path,
        "n": figures.n,
        "clean": figures.clean,
        "robust": _interval(figures),
    }


def _result(outcome: Outcome) -> str:
    if outcome.figures is None:
        return f"failed: {outcome.error}"
    return f"{outcome.state}, robust {percent(_interval(outcome.figures))}"


def pricing(looks: Iterable[Outlook], cells: int, *, quiet: bool) -> Iterator[Outlook]:
    """The same outlooks, with a bar on stderr while they are made; no bar without a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True, quiet=quiet, highlight=False)
    yield from track(
        looks, "pricing", total=cells, console=console, transient=True, disable=quiet or not console.is_terminal
    )
