"""The loop over shards: find the missing ones, execute them, store them, summarise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from bench.figures.curve import Point, curve
from bench.machine.device import pick_device
from bench.plan.plan import Plan
from bench.records.lines import SampleRecord
from bench.records.record import read_record
from bench.run.engine import Engine, Failed, Task
from bench.run.job import Job, first_lines, images_missing, record_path
from bench.run.local import Local
from bench.run.options import Options
from bench.run.prediction import Costs, Forecast, forecast, shared, tried
from bench.run.worker import Worker

__all__ = ["Options", "Reporter", "Silent", "foresee", "record_path", "run", "security_curve"]


class Reporter(Protocol):
    """Receives the progress of a run; only the command line prints it."""

    def started(self, lines: list[SampleRecord], total: int) -> None:
        """The run starts, or resumes after these lines, toward `total` images."""

    def working(self, done: float, unbroken: int, images: int) -> None:
        """Attacks on `images` images have finished the share `done` of their work; `unbroken` images are not broken yet."""

    def finished(self, lines: list[SampleRecord]) -> None:
        """These images are finished."""


class Silent:
    """A reporter that ignores everything."""

    def started(self, lines: list[SampleRecord], total: int) -> None:
        """Does nothing."""

    def working(self, done: float, unbroken: int, images: int) -> None:
        """Does nothing."""

    def finished(self, lines: list[SampleRecord]) -> None:
        """Does nothing."""


def run(plan: Plan, options: Options, reporter: Reporter, engine: Engine | None = None) -> dict[str, Any]:
    """Runs the images that a record lacks and returns its summary.

    Arguments:
        plan: The plan of the run.
        options: Its options.
        reporter: Receives the progress.
        engine: Executes the shards; None for this process.

    Raises:
        UserError: The options are wrong, or the record cannot be resumed.
        AttackError: The attack left the ball.
        WorkerError: A worker was lost or did not answer, in every attempt.
    """
    engine = engine or Local()
    with Job(plan, options, engine) as job:
        reporter.started(job.lines, job.total)
        flights = Flights(reporter)
        for result in engine.execute(job.tasks, flights.working):
            if isinstance(result, Failed):
                raise result.error
            job.store(result)
            flights.landed(result.task)
            reporter.finished(result.lines)
        return job.finish()


class Flights:
    """Sums the progress of the tasks that are executed at the same time.

    Arguments:
        reporter: Receives the sums.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.flying: dict[Task, tuple[float, int, int]] = {}

    def working(self, task: Task, done: float, unbroken: int, images: int) -> None:
        """A task is in progress."""
        self.flying[task] = (done * images, unbroken, images)
        work_done, all_unbroken, all_images = (sum(part) for part in zip(*self.flying.values(), strict=True))
        self.reporter.working(work_done / all_images, all_unbroken, all_images)

    def landed(self, task: Task) -> None:
        """A task is finished."""
        self.flying.pop(task, None)


def foresee(plan: Plan, options: Options, seen: dict[str, Costs] | None = None) -> Forecast | None:
    """The cost of the images that a record lacks; nothing is written. None for an attack without a bound.

    Arguments:
        plan: The plan of the run.
        options: Its options.
        seen: Costs of earlier forecasts under the same options, of any number of samples; new ones are added.

    Raises:
        UserError: The options are wrong.
    """
    missing, total = images_missing(plan, options)
    worker = Worker(plan, pick_device(options.device.partition(",")[0]), options.batch_size, lambda *_: None)
    costs = ({} if seen is None else seen).setdefault(shared(plan), Costs(partial(tried, worker)))
    return forecast(plan, costs, images=missing, done=total - missing)


def security_curve(summaries: Sequence[dict[str, Any]], plans: Sequence[Plan]) -> list[Point]:
    """The security curve of runs that differ in their threat only, over the images that each summary counts."""
    runs = []
    for summary, planned in zip(summaries, plans, strict=True):
        lines = first_lines(read_record(Path(summary["path"])).lines, planned, summary["n"])
        runs.append((planned.threat, summary["run_id"], lines))
    return curve(runs)
