"""The one loop over shards: find what is missing, have it executed, append it, sum up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.curve import Point, curve
from bench.device import pick_device
from bench.errors import UserError
from bench.plan import Plan
from bench.prediction import Forecast, forecast
from bench.records import FORMAT, SHARD, Record, RecordWriter, SampleRecord, read_record
from bench.summary import summarise
from bench.worker import Worker

PROBED_SHARDS = 2
"""Shards on whose images a forecast tries which ones fall at once."""


class Reporter(Protocol):
    """Receives what happens; only the command line prints it."""

    def started(self, lines: list[SampleRecord], total: int) -> None:
        """The run begins, or goes on after these lines, toward `total` images."""

    def working(self, done: float, standing: int, images: int) -> None:
        """An attack on `images` images is through the share `done` of its work; `standing` are not broken."""

    def finished(self, lines: list[SampleRecord]) -> None:
        """These images are done."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is executed; none of it is part of the run id.

    Arguments:
        samples: Number of images, from the start of the data set's order; None for all.
        results: Folder of all records.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        batch_size: Images in one network call; None starts large and halves when memory runs out.
        evidence: Whether adversarial images are stored.
        mix_environments: Whether a record made under another device kind or torch release may go on here.
    """

    samples: int | None = 100
    results: Path = Path("results")
    device: str = "auto"
    batch_size: int | None = None
    evidence: bool = True
    mix_environments: bool = False


def run(plan: Plan, options: Options, reporter: Reporter) -> dict[str, Any]:
    """Makes what is missing of a record and returns its summary document.

    Raises:
        UserError: The options are wrong, or the record cannot be continued.
        AttackError: The attack left the ball.
    """
    count = _count(options.samples, len(plan.dataset))
    worker = _worker(plan, options, reporter.working)
    path = record_path(plan, options.results)
    with RecordWriter(path, _header(plan, worker, path)) as writer:
        worker.adopt(writer.header, path, mix=options.mix_environments)
        total = _rounded(plan, count)
        reporter.started(_first(writer.lines, plan, total), total)
        for shard, positions in _missing(plan, total, writer.finished):
            lines, images = worker.execute(positions)
            writer.add_environment(worker.environment_key, worker.environment)
            writer.append(shard, lines, images if options.evidence else None)
            reporter.finished(lines)
        if not (path / "SHA256SUMS").exists():
            writer.seal()
        lines = _first(writer.lines, plan, count)
        return summarise(Record(path, writer.header, writer.lines, sealed=True), lines, count)


def foresee(plan: Plan, options: Options) -> Forecast | None:
    """What it would cost to make what is missing of a record; nothing is written. None for an attack without a formula.

    Raises:
        UserError: The options are wrong.
    """
    count = _rounded(plan, _count(options.samples, len(plan.dataset)))
    worker, path = _worker(plan, options, lambda done, standing, images: None), record_path(plan, options.results)
    finished = {line.id for line in read_record(path).lines} if (path / "run.json").exists() else set()
    missing = sum(len(positions) for _, positions in _missing(plan, count, finished))
    return forecast(plan, worker, images=missing, done=count - missing, probe=PROBED_SHARDS * SHARD)


def security_curve(summaries: Sequence[dict[str, Any]], plans: Sequence[Plan]) -> list[Point]:
    """The curve through runs that differ in their threat alone, over the images that each summary counts."""
    runs = []
    for summary, planned in zip(summaries, plans, strict=True):
        lines = _first(read_record(Path(summary["path"])).lines, planned, summary["n"])
        runs.append((planned.threat, summary["run_id"], lines))
    return curve(runs)


def record_path(plan: Plan, results: Path) -> Path:
    """`results/<dataset>/<threat>/<run id>`."""
    return results / plan.dataset.name / plan.threat.slug / plan.spec.run_id


def _worker(plan: Plan, options: Options, working: Callable[[float, int, int], None]) -> Worker:
    if options.batch_size is not None and options.batch_size < 1:
        raise UserError(f"expected --batch-size of at least 1, got {options.batch_size}; leave it out for auto")
    return Worker(plan, pick_device(options.device), options.batch_size, working)


def _count(samples: int | None, size: int) -> int:
    if samples is not None and not 1 <= samples <= size:
        raise UserError(f"expected --samples in 1..{size} or all, got {samples}; the data set has {size} images")
    return size if samples is None else samples


def _rounded(plan: Plan, count: int) -> int:
    """The images that run: whole shards where the attack's result depends on them."""
    return min(-(-count // SHARD) * SHARD, len(plan.dataset)) if plan.whole_shards else count


def _missing(plan: Plan, count: int, finished: set[int]) -> list[tuple[int, np.ndarray]]:
    """Shards and the positions in them that are asked for and not in the record yet."""
    open_positions = [p for p in range(count) if int(plan.dataset.ids[p]) not in finished]
    shards = sorted({p // SHARD for p in open_positions})
    return [(shard, np.array([p for p in open_positions if p // SHARD == shard])) for shard in shards]


def _first(lines: list[SampleRecord], plan: Plan, count: int) -> list[SampleRecord]:
    """The lines of the first `count` images, in the data set's order."""
    by_id = {line.id: line for line in lines}
    ids = (int(sample) for sample in plan.dataset.ids[:count])
    return [by_id[sample] for sample in ids if sample in by_id]


def _header(plan: Plan, worker: Worker, path: Path) -> dict[str, Any]:
    """What `run.json` says; the claims are verified for a new record only."""
    checks = {} if (path / "run.json").exists() else worker.claims()
    return {
        "format": FORMAT, "run_id": plan.spec.run_id, "spec": plan.spec.model_dump(), "labels": plan.labels,
        "notes": plan.notes,
        "checks": checks, "environments": {},
    }  # fmt: skip
