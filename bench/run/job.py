"""One record in progress, and its missing shards."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import Self

from bench.errors import CoupledError, UserError
from bench.figures.summary import summarise
from bench.keyed import ALONE, MEANS, OPERATIONS, ForeignDrawsError, Means
from bench.plan.plan import Plan, image_by_image, with_keyed_draws
from bench.records.archive import unpacked
from bench.records.header import FORMAT, check_environment
from bench.records.held import Held
from bench.records.lines import SampleRecord
from bench.records.record import SHARD, Record, read_record
from bench.records.seal import SEAL
from bench.records.writer import RecordWriter
from bench.run.engine import Done, Engine, Task
from bench.run.options import Options

LOG = logging.getLogger("bench.run.job")


class Job:
    """Holds the lock of a record, finds its missing shards, and stores them.

    Arguments:
        plan: The plan of the run.
        options: Its options.
        engine: Measures the claims of a new record.

    Raises:
        BusyError: Another process holds the record.
        UserError: The options are wrong, or the record cannot be resumed.
    """

    def __init__(self, plan: Plan, options: Options, engine: Engine) -> None:
        self.plan, self.options = begun(plan, options), options
        self.count = images_asked(options.samples, len(plan.dataset))
        self.total = _rounded(plan, self.count)
        self.record = self._settled(plan, engine)
        if self.plan.spec.keyed and not plan.spec.keyed:
            LOG.info(self.plan.notes[-1])
        finished = {line.id for line in self.record.lines}
        self.tasks = [Task(self, shard, positions) for shard, positions in _missing(plan, self.total, finished)]
        self.left = len(self.tasks)
        if self.tasks and self.total > self.count:
            LOG.info(
                "this attack takes whole shards of %d: %d images are attacked for the %d asked for",
                SHARD,
                self.total,
                self.count,
            )

    def _settled(self, asked: Plan, engine: Engine) -> Record | RecordWriter:
        """The record of the plan, or of the first variant whose claims hold of the plan that was asked for."""
        while True:
            try:
                return self._open(engine)
            except (CoupledError, ForeignDrawsError) as error:
                variant = variant_after(error, self.plan, asked, self.options)
                if variant is None:
                    raise
                self.plan = variant

    def _open(self, engine: Engine) -> Record | RecordWriter:
        self.path = record_path(self.plan, self.options.results)
        return self._complete() or self._opened(engine)

    def _complete(self) -> Record | None:
        """The record if it is complete; it is only read, so its folder may be read-only or locked."""
        if not (self.path / SEAL).exists() or not (self.path / "run.json").exists():
            return None
        record = read_record(self.path)
        finished = {line.id for line in record.lines}
        others = record.run_id != self.plan.spec.run_id
        return None if record.torn or others or _missing(self.plan, self.total, finished) else record

    def _opened(self, engine: Engine) -> RecordWriter:
        """The record to add to; the claims of a new one are measured under its lock, before anything is written."""
        held = Held(self.path)
        try:
            checks = {} if held.begun else engine.claims(self.plan, self.options)
            return RecordWriter(held, _header(self.plan, checks))
        except BaseException:
            held.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Releases the lock of the record."""
        if isinstance(self.record, RecordWriter):
            self.record.close()

    @property
    def writer(self) -> RecordWriter:
        """The writer of the record.

        Raises:
            TypeError: The record is complete.
        """
        if not isinstance(self.record, RecordWriter):
            raise TypeError(f"expected a record that lacks images, got the complete one of run {self.record.run_id}")
        return self.record

    @property
    def lines(self) -> list[SampleRecord]:
        """The lines of the images of this run, in the data set's order."""
        return first_lines(self.record.lines, self.plan, self.total)

    def store(self, done: Done) -> None:
        """Appends a shard.

        Raises:
            UserError: It was executed under another device kind or release than the earlier shards.
        """
        if not self.options.mix_environments:
            check_environment(self.writer.header, done.environment, self.path)
        self.writer.add_environment(done.key, done.environment)
        self.writer.append(done.task.shard, done.lines, done.images if self.options.evidence else None)
        self.left -= 1

    def finish(self) -> dict[str, Any]:
        """Seals the record and returns its summary."""
        if isinstance(self.record, RecordWriter) and not (self.path / SEAL).exists():
            self.writer.seal([int(sample) for sample in self.plan.dataset.ids])
        lines = first_lines(self.record.lines, self.plan, self.count)
        return summarise(Record(self.path, self.record.header, self.record.lines, sealed=True), lines, self.count)


def record_path(plan: Plan, results: Path) -> Path:
    """`results/<dataset>/<threat>/<run id>`."""
    return unpacked(results) / plan.dataset.name / plan.threat.slug / plan.spec.run_id


def begun(plan: Plan, options: Options) -> Plan:
    """The variant of a plan that a record was started with; else the plan itself."""
    records = (one for one in variants(plan, options) if (record_path(one, options.results) / "run.json").exists())
    return next(records, plan)


def variants(plan: Plan, options: Options) -> Iterator[Plan]:
    """The plans that a run may turn into when its claims are measured: foreign draws keyed, images alone."""
    alone = options.batch_size == 1
    if alone:
        yield image_by_image(plan)
    for means in () if plan.spec.keyed else MEANS[alone:]:
        yield with_keyed_draws(plan, means)


def variant_after(error: CoupledError | ForeignDrawsError, plan: Plan, asked: Plan, options: Options) -> Plan | None:
    """The variant to try after the claims of a plan failed; None if there is none.

    Foreign draws are keyed by operations, and if that fails image by image, as with a batch size of 1 at once.

    Arguments:
        error: Why the claims failed.
        plan: The plan or variant that was tried.
        asked: The plan that was asked for.
        options: The options of the run.
    """
    if isinstance(error, CoupledError):
        return image_by_image(plan) if options.batch_size == 1 and not plan.spec.batch_size else None
    if asked.spec.keyed or plan.spec.keyed == ALONE:
        return None
    means: Means = OPERATIONS if plan.spec.keyed is None and options.batch_size != 1 else ALONE
    return with_keyed_draws(asked, means)


def images_asked(samples: int | None, size: int) -> int:
    """The number of images that `--samples` requests; None stands for all.

    Raises:
        UserError: The data set has fewer.
    """
    if samples is not None and not 1 <= samples <= size:
        raise UserError("samples-range", size=size, samples=samples)
    return size if samples is None else samples


def images_missing(plan: Plan, options: Options) -> tuple[int, int]:
    """The number of images that the record of a run still lacks, and the number that it will have; nothing is written.

    Raises:
        UserError: The data set has fewer, or the record is damaged.
    """
    total = _rounded(plan, images_asked(options.samples, len(plan.dataset)))
    path = record_path(begun(plan, options), options.results)
    finished = {line.id for line in read_record(path).lines} if (path / "run.json").exists() else set()
    return sum(len(positions) for _, positions in _missing(plan, total, finished)), total


def _rounded(plan: Plan, count: int) -> int:
    """The number of images that run: whole shards if the attack's result depends on the shard."""
    return min(-(-count // SHARD) * SHARD, len(plan.dataset)) if plan.whole_shards else count


def _missing(plan: Plan, count: int, finished: set[int]) -> list[tuple[int, np.ndarray]]:
    """The missing positions among the first `count`, by shard."""
    open_positions = [p for p in range(count) if int(plan.dataset.ids[p]) not in finished]
    shards: dict[int, list[int]] = {}
    for position in open_positions:
        shards.setdefault(position // SHARD, []).append(position)
    return [(shard, np.array(positions)) for shard, positions in sorted(shards.items())]


def first_lines(lines: list[SampleRecord], plan: Plan, count: int) -> list[SampleRecord]:
    """The lines of the first `count` images, in the data set's order."""
    by_id = {line.id: line for line in lines}
    ids = (int(sample) for sample in plan.dataset.ids[:count])
    return [by_id[sample] for sample in ids if sample in by_id]


def _header(plan: Plan, checks: dict[str, Any]) -> dict[str, Any]:
    """The content of `run.json` before the first image."""
    return {
        "format": FORMAT,
        "run_id": plan.spec.run_id,
        "spec": plan.spec.model_dump(),
        "labels": plan.labels,
        "notes": plan.notes,
        "checks": checks,
        "environments": {},
    }
