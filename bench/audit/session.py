"""Audits a run, or predicts the cost of its audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.audit import TABLE, find_check
from bench.audit.examination import Examination, Listener
from bench.audit.finding import FULL, QUICK
from bench.audit.price import total
from bench.audit.subject import Subject
from bench.errors import UserError
from bench.figures.runs import read_run
from bench.plan.cache import Cache
from bench.plan.plan import Plan
from bench.records.record import no_images
from bench.registry.registry import Registry
from bench.run.options import Options
from bench.run.replay import check_unchanged, replan

QUICK_IMAGES, FULL_IMAGES = 32, 128


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The extent of an audit.

    Arguments:
        size: `quick` or `full`.
        samples: Number of the run's first images; None for 32, or 128 in a full audit.
        only: Names of checks; empty for all.
        again: Whether finished checks run again.
    """

    size: str = QUICK
    samples: int | None = None
    only: tuple[str, ...] = ()
    again: bool = False

    def __post_init__(self) -> None:
        for name in self.only:
            find_check(name)
        if self.samples is not None and self.samples < 1:
            raise UserError("audit-samples", samples=self.samples, default=QUICK_IMAGES)

    @property
    def images(self) -> int:
        """The number of images."""
        return self.samples or (FULL_IMAGES if self.size == FULL else QUICK_IMAGES)

    @property
    def names(self) -> Sequence[str]:
        """The checks, in the table's order."""
        return [name for name in TABLE if not self.only or name in self.only]


def audit(
    path: Path,
    scope: Scope,
    registry: Registry,
    listener: Listener,
    *,
    options: Options,
    data_dir: Path | None = None,
    planned: Plan | None = None,
    cache: Cache | None = None,
) -> dict[str, Any]:
    """Examines a run and returns the content of its `audit.json`; finished checks of at least this size are kept.

    Arguments:
        path: The run's folder.
        scope: The extent of the audit.
        registry: Finds the names in the record.
        listener: Receives the progress.
        options: The results folder, also for the records of other attacks, and the device.
        data_dir: Where data sets lie.
        planned: The run's plan, if there is one already.
        cache: The cache of its networks and data.

    Raises:
        UserError: The record cannot be read, or its parts are missing or changed.
    """
    subject = _subject(
        path, scope, registry, listener, options=options, data_dir=data_dir, planned=planned, cache=cache
    )
    return Examination(subject, path, again=scope.again).examine(scope.names, listener)


def foresee(
    path: Path, scope: Scope, registry: Registry, listener: Listener, *, options: Options, data_dir: Path | None = None
) -> dict[str, Any]:
    """The cost of an audit, check by check and in all; nothing is written.

    Arguments:
        path: The run's folder.
        scope: The extent of the audit.
        registry: Finds the names in the record.
        listener: Receives the progress.
        options: The results folder and the device.
        data_dir: Where data sets lie.

    Raises:
        UserError: The record cannot be read, or its parts are missing or changed.
    """
    subject = _subject(path, scope, registry, listener, options=options, data_dir=data_dir)
    prices = Examination(subject, path, again=scope.again).foresee(scope.names)
    return {
        "run_id": subject.run.run_id,
        "n": subject.n,
        "size": subject.size,
        "checks": [price.as_dict() for price in prices],
        "total": total(prices),
    }


def _subject(
    path: Path,
    scope: Scope,
    registry: Registry,
    listener: Listener,
    *,
    options: Options,
    data_dir: Path | None,
    planned: Plan | None = None,
    cache: Cache | None = None,
) -> Subject:
    run = read_run(path)
    if not len(run):
        raise no_images(path)
    cache = cache or Cache()
    planned = planned or replan(run.header, registry, data_dir)
    check_unchanged(run, planned)
    subject = Subject(
        run,
        planned,
        registry,
        samples=scope.images,
        size=scope.size,
        options=options,
        data_dir=data_dir,
        cache=cache,
        attacking=listener.attacking,
    )
    listener.opens(run.run_id, scope.size, subject.n)
    return subject
