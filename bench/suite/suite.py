"""Runs the missing cells of a suite, as many at once as keep every worker busy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.errors import BenchError, BusyError, InterruptedRunError, UserError
from bench.plan.cache import Cache
from bench.plan.plan import Plan, plan
from bench.plan.request import Request
from bench.registry.registry import Registry
from bench.run.engine import Done, Engine, Failed, Task
from bench.run.job import Job
from bench.run.options import Options
from bench.suite.cells import Cell
from bench.suite.finished_cells import Figures, FinishedCells
from bench.suite.outcome import Outcome


class SuiteReporter(Protocol):
    """Receives the progress of a suite; only the command line prints it."""

    def began(self, cell: Cell, done: int, total: int) -> None:
        """A cell starts; `done` of its `total` images are done already."""

    def working(self, cell: Cell, done: float, standing: int, images: int) -> None:
        """Attacks on `images` images of a cell are through the share `done` of their work; `standing` are not broken."""

    def stored(self, cell: Cell, images: int) -> None:
        """So many more images of a cell are done."""

    def ended(self, outcome: Outcome) -> None:
        """A cell is done, or failed."""

    def waiting(self, cells: int) -> None:
        """So many cells are left, all held by other processes."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """The options of all runs of a suite.

    Arguments:
        results: Folder of all records.
        device: Device, as on the command line.
        mix_environments: Whether records may be continued under another device kind or torch release.
        keep_going: Whether to continue after a failed cell.
    """

    results: Path = Path("results")
    device: str = "auto"
    mix_environments: bool = False
    keep_going: bool = False

    def options(self, cell: Cell) -> Options:
        """The options of one run."""
        return Options(
            samples=cell.samples,
            results=self.results,
            device=self.device,
            batch_size=cell.batch_size,
            evidence=cell.evidence,
            mix_environments=self.mix_environments,
        )


class Suite:
    """One pass over the cells of a suite.

    Arguments:
        cells: The cells.
        execution: The options of their runs.
        registry: Finds names.
        finished: The list of finished cells.
        reporter: Receives the progress.
    """

    def __init__(
        self,
        cells: list[Cell],
        execution: Execution,
        registry: Registry,
        finished: FinishedCells,
        reporter: SuiteReporter,
    ) -> None:
        self.cells, self.execution, self.registry, self.reporter = cells, execution, registry, reporter
        self.finished, self.cache = finished, Cache()
        self.outcomes = {
            number: Outcome(cell, "done", figures)
            for number, cell in enumerate(cells)
            if (figures := finished.find(cell))
        }
        self.jobs: dict[Job, int] = {}
        self.in_flight: Counter[Job] = Counter()
        self.failed: dict[Job, Exception] = {}

    def run(self, engine: Engine) -> list[Outcome]:
        """Runs the cells that are not done, and gives the outcome of every cell.

        Raises:
            InterruptedRunError: The disk is full.
            BenchError: A cell failed, and `keep_going` is not set.
        """
        missing = [number for number in range(len(self.cells)) if number not in self.outcomes]
        try:
            for result in engine.execute(self._tasks(engine, missing), self._working):
                self.in_flight[result.task.job] -= 1
                if isinstance(result, Failed):
                    self._fail(result.task.job, result.error)
                else:
                    self._store(result)
                self._settle(result.task.job)
        finally:
            for job in self.jobs:
                job.close()
            self.jobs = {}
        return [self.outcomes[number] for number in range(len(self.cells))]

    def _store(self, done: Done) -> None:
        job = done.task.job
        try:
            job.store(done)
        except UserError as error:
            self._fail(job, error)
        else:
            self.reporter.stored(self._cell(job), len(done.lines))

    def _tasks(self, engine: Engine, missing: list[int]) -> Iterator[Task | None]:
        """The shards of one cell after the other; cells held by other processes come last, with None while nothing else is left."""
        busy = list(missing)
        while busy:
            queue, busy = busy, []
            for number in queue:
                job = self._open(number, engine)
                if job is None:
                    if number not in self.outcomes:
                        busy.append(number)
                    continue
                for task in job.tasks:
                    if job in self.jobs and job not in self.failed:
                        self.in_flight[job] += 1
                        yield task
                self._settle(job)
            if len(busy) == len(queue):
                self.reporter.waiting(len(busy))
                yield None

    def _open(self, number: int, engine: Engine) -> Job | None:
        """The job of a cell; None if another process holds its record, or it failed."""
        cell = self.cells[number]
        try:
            job = Job(self.plan(cell), self.execution.options(cell), engine)
        except BusyError:
            return None
        except InterruptedRunError:
            raise
        except Exception as error:
            self._refuse(number, error)
            return None
        self.jobs[job] = number
        self.reporter.began(cell, job.total - sum(len(task.positions) for task in job.tasks), job.total)
        return job

    def plan(self, cell: Cell) -> Plan:
        """The plan of a cell."""
        return plan(cell_request(cell), self.registry, self.cache)

    def _settle(self, job: Job) -> None:
        """Ends a cell that has no shards in flight or left."""
        if job not in self.jobs or self.in_flight[job] or (job.left and job not in self.failed):
            return
        number, cell = self.jobs[job], self._cell(job)
        if job in self.failed:
            outcome = Outcome(cell, "failed", error=self.failed.pop(job))
        else:
            figures = figures_of(job.finish())
            self.finished.add(cell, figures)
            outcome = Outcome(cell, "made" if job.tasks else "done", figures)
        job.close()
        del self.jobs[job], self.in_flight[job]
        self._end(number, outcome)

    def _fail(self, job: Job, error: Exception) -> None:
        self.failed.setdefault(job, error)
        if not self.execution.keep_going:
            raise named(self._cell(job), error)

    def _refuse(self, number: int, error: Exception) -> None:
        if not self.execution.keep_going:
            raise named(self.cells[number], error)
        self._end(number, Outcome(self.cells[number], "failed", error=error))

    def _cell(self, job: Job) -> Cell:
        return self.cells[self.jobs[job]]

    def _working(self, task: Task, done: float, standing: int, images: int) -> None:
        if task.job in self.jobs:
            self.reporter.working(self._cell(task.job), done, standing, images)

    def _end(self, number: int, outcome: Outcome) -> None:
        self.outcomes[number] = outcome
        self.reporter.ended(outcome)


def cell_request(cell: Cell) -> Request:
    """The request of a cell's run."""
    names: dict[str, Any] = dict(cell.names)
    return Request(
        **names,
        threat=cell.threat,
        draws=cell.draws,
        seed=cell.seed,
        data_dir=cell.data_dir,
        arguments=cell.arguments,
    )


def figures_of(summary: dict[str, Any]) -> Figures:
    """The figures in a run's summary that a suite shows."""
    robust = summary["robust_accuracy"]
    return Figures(
        summary["run_id"],
        summary["path"],
        summary["n"],
        summary["clean_accuracy"]["value"],
        (robust["value"], robust["low"], robust["high"]),
    )


def named(cell: Cell, error: Exception) -> Exception:
    """The error of a cell, with the cell's name in front."""
    if isinstance(error, BenchError):
        error = copy(error)  # with its code
        error.message = f"cell {cell.label}: {error.message}"
        error.args = (error.message,)
    return error
