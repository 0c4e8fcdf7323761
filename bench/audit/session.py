"""One audit: all checks priced before the first starts, then one after the other, each written down as soon as it is done."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from bench.audit import TABLE
from bench.audit.document import findings_in, read_audit, write_audit
from bench.audit.finding import SKIPPED, Finding, skipped
from bench.audit.price import DONE, NEW, Price, priced, total
from bench.audit.subject import FULL, QUICK, Subject
from bench.errors import NoGradientError, UserError
from bench.figures.runs import read_run
from bench.plan.cache import Shelf
from bench.plan.plan import Plan
from bench.records.spec import canonical, differences
from bench.registry.registry import Registry, suggest
from bench.run.options import Options
from bench.run.prediction import Costs, tried
from bench.run.replay import replan
from bench.run.runner import Reporter

QUICK_IMAGES, FULL_IMAGES = 32, 128
DIGITS = 6
NO_GRADIENT = "the classifier has no gradients"


class Listener(Protocol):
    """Hears what an audit does; only the command line prints it."""

    def opens(self, run: str, size: str, images: int) -> None:
        """The run and its parts are loaded; its checks are priced next."""

    def priced(self, total: dict[str, Any]) -> None:
        """So many checks will be made, at this cost."""

    def begins(self, name: str, summary: str, predicted: dict[str, Any]) -> None:
        """A check starts, at this cost."""

    def attacking(self, label: str) -> AbstractContextManager[Reporter]:
        """Another attack is made inside a check; what is returned hears of it."""

    def ends(self, finding: Finding, *, new: bool) -> None:
        """A check is done, now or before."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """How much is examined.

    Arguments:
        size: `quick` or `full`.
        samples: Number of the run's first images; None for 32, or 128 in a full audit.
        only: Names of checks; empty for all.
        again: Whether what is done is made again.
    """

    size: str = QUICK
    samples: int | None = None
    only: tuple[str, ...] = ()
    again: bool = False

    def __post_init__(self) -> None:
        for name in self.only:
            if name not in TABLE:
                raise UserError(
                    f"expected the name of a check, got {name!r}{suggest(name, list(TABLE))}; see: bench list checks"
                )
        if self.samples is not None and self.samples < 1:
            raise UserError(f"expected --samples of at least 1, got {self.samples}; leave it out for {QUICK_IMAGES}")

    @property
    def images(self) -> int:
        """The number of images."""
        return self.samples or (FULL_IMAGES if self.size == FULL else QUICK_IMAGES)

    @property
    def names(self) -> Sequence[str]:
        """The checks, in the table's order."""
        return [name for name in TABLE if not self.only or name in self.only]


def audit(
    path: Path, scope: Scope, registry: Registry, listener: Listener, *, options: Options, data_dir: Path | None = None,
    planned: Plan | None = None, shelf: Shelf | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Examines a run and returns the content of its `audit.json`; what was done at this size or a greater one is kept.

    Arguments:
        path: The run's folder.
        scope: How much is examined.
        registry: What the record's names stand for.
        listener: Hears of it.
        options: Results folder, for the records of other attacks, and device.
        data_dir: Where data sets lie.
        planned: The run's plan, if it was made already.
        shelf: Where its networks and data lie.

    Raises:
        UserError: The record cannot be read, or its parts are not here as they were.
    """
    subject = _subject(
        path, scope, registry, listener, options=options, data_dir=data_dir, planned=planned, shelf=shelf
    )
    return _Audit(subject, path, again=scope.again).examine(scope.names, listener)


def foresee(
    path: Path, scope: Scope, registry: Registry, listener: Listener, *, options: Options, data_dir: Path | None = None
) -> dict[str, Any]:
    """What an audit would make, and its cost, check by check and in all; nothing is written.

    Arguments:
        path: The run's folder.
        scope: How much would be examined.
        registry: What the record's names stand for.
        listener: Hears when its parts are loaded.
        options: Results folder and device.
        data_dir: Where data sets lie.

    Raises:
        UserError: The record cannot be read, or its parts are not here as they were.
    """
    subject = _subject(path, scope, registry, listener, options=options, data_dir=data_dir)
    prices = _Audit(subject, path, again=scope.again).foresee(scope.names)
    return {
        "run_id": subject.run.run_id, "n": subject.n, "size": subject.size,
        "checks": [price.as_dict() for price in prices], "total": total(prices),
    }  # fmt: skip


def _subject(
    path: Path, scope: Scope, registry: Registry, listener: Listener, *, options: Options, data_dir: Path | None,
    planned: Plan | None = None, shelf: Shelf | None = None,
) -> Subject:  # fmt: skip
    run = read_run(path)
    if not len(run):
        raise UserError(
            f"expected a run with finished images in {path}, got none yet; repeat the command that began it"
        )
    shelf = shelf or Shelf()
    planned = planned or replan(run.header, registry, data_dir)
    changed = differences(run.spec, planned.spec)
    if changed:
        raise UserError(
            f"expected the parts of run {run.run_id} as they were, got changes: {'; '.join(changed)}; run it again"
        )
    subject = Subject(
        run, planned, registry, samples=scope.images, size=scope.size, options=options, data_dir=data_dir, shelf=shelf,
        attacking=listener.attacking,
    )  # fmt: skip
    listener.opens(run.run_id, scope.size, subject.n)
    return subject


class _Audit:
    """The findings so far, and how the next one is made.

    Arguments:
        subject: The run.
        path: Its folder.
        again: Whether earlier findings count for nothing.
    """

    def __init__(self, subject: Subject, path: Path, *, again: bool = False) -> None:
        self.subject, self.path = subject, path
        before = [] if again else findings_in(read_audit(path))
        self.findings = {finding.name: finding for finding in before if finding.name in TABLE}
        self.costs = Costs(partial(tried, subject.worker), subject.worker.batch if subject.deterministic else 1)

    def foresee(self, names: Sequence[str]) -> list[Price]:
        """What becomes of each check."""
        return [self._price(name) for name in names]

    def examine(self, names: Sequence[str], listener: Listener) -> dict[str, Any]:
        """Makes what is missing, writing after each check."""
        prices = self.foresee(names)
        listener.priced(total(prices))
        for price in prices:
            if price.state == NEW:
                listener.begins(price.name, TABLE[price.name].summary, price.predicted)
            if price.state != DONE:
                self.findings[price.name] = self._make(price)
                self._write()
            listener.ends(self.findings[price.name], new=price.state != DONE)
        return self._write()

    def _price(self, name: str) -> Price:
        known = self.findings.get(name)
        if known is not None and self._covers(known):
            return Price(name, DONE)
        module = import_module(TABLE[name].target)
        why = module.why_not(self.subject)
        if why:
            return Price(name, SKIPPED, why)
        try:
            return Price(name, NEW, predicted=priced(self.costs, module.loads(self.subject)))
        except NoGradientError:
            return Price(name, SKIPPED, NO_GRADIENT)

    def _covers(self, finding: Finding) -> bool:
        """Whether a finding was made at this size or a greater one."""
        size = finding.size == FULL or not self.subject.full
        return size and finding.n >= self.subject.n

    def _make(self, price: Price) -> Finding:
        subject, check = self.subject, import_module(TABLE[price.name].target).check
        began = time.monotonic()
        try:
            finding = check(subject) if price.state == NEW else skipped(price.why)
        except NoGradientError:
            finding = skipped(NO_GRADIENT)
        command = finding.command if finding.verdict != SKIPPED and finding.fired else ""
        return replace(
            finding, name=price.name, n=subject.n, size=subject.size, predicted=price.predicted,
            values=_rounded(finding.values), command=command, seconds=round(time.monotonic() - began, 2),
        )  # fmt: skip

    def _write(self) -> dict[str, Any]:
        order = list(TABLE)
        findings = sorted(self.findings.values(), key=lambda finding: order.index(finding.name))
        spec = hashlib.sha256(canonical(self.subject.run.header.document["spec"]).encode()).hexdigest()
        head = {
            "run_id": self.subject.run.run_id, "spec_sha256": spec, "n": self.subject.n, "size": self.subject.size,
            "environment": self.subject.worker.environment,
        }  # fmt: skip
        return write_audit(self.path, head, findings, order)


def _rounded(value: Any) -> Any:
    """Numbers with six significant digits, so that a document can be read; none that JSON lacks."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if abs(value) < float("inf") else None
    return value
