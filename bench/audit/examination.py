"""The checks of one audit: predicts the cost of all, then runs one after the other and writes each result at once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from bench.audit import TABLE
from bench.audit.document import findings_in, read_audit, write_audit
from bench.audit.finding import FULL, SKIPPED, Finding, skipped
from bench.audit.price import DONE, NEW, Price, priced, total
from bench.audit.subject import Subject
from bench.errors import NoGradientError
from bench.records.spec import canonical
from bench.run.prediction import Costs, tried
from bench.run.runner import Reporter

DIGITS = 6
NO_GRADIENT = "the classifier has no gradients"


class Listener(Protocol):
    """Receives the progress of an audit; only the command line prints it."""

    def opens(self, run: str, size: str, images: int) -> None:
        """The run and its parts are loaded; the cost of its checks is predicted next."""

    def priced(self, total: dict[str, Any]) -> None:
        """So many checks will run, at this cost."""

    def begins(self, name: str, summary: str, predicted: dict[str, Any]) -> None:
        """A check starts, at this cost."""

    def attacking(self, label: str) -> AbstractContextManager[Reporter]:
        """Another attack starts inside a check; returns its reporter."""

    def ends(self, finding: Finding, *, new: bool) -> None:
        """A check is done, now or earlier."""


class Examination:
    """An audit in progress.

    Arguments:
        subject: The run.
        path: Its folder.
        again: Whether earlier findings are ignored.
    """

    def __init__(self, subject: Subject, path: Path, *, again: bool = False) -> None:
        self.subject, self.path = subject, path
        earlier = [] if again else findings_in(read_audit(path))
        self.findings = {finding.name: finding for finding in earlier if finding.name in TABLE}
        self.costs = Costs(partial(tried, subject.worker), subject.worker.batch if subject.deterministic else 1)

    def foresee(self, names: Sequence[str]) -> list[Price]:
        """The state and the cost of each check."""
        return [self._price(name) for name in names]

    def examine(self, names: Sequence[str], listener: Listener) -> dict[str, Any]:
        """Runs the missing checks, and writes the audit after each."""
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
        finished = self.findings.get(name)
        if finished is not None and self._covers(finished):
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
        """Whether a finding has at least this audit's size and images."""
        return (finding.size == FULL or not self.subject.full) and finding.n >= self.subject.n

    def _make(self, price: Price) -> Finding:
        subject, check = self.subject, import_module(TABLE[price.name].target).check
        started = time.monotonic()
        try:
            finding = check(subject) if price.state == NEW else skipped(price.why)
        except NoGradientError:
            finding = skipped(NO_GRADIENT)
        return replace(
            finding,
            name=price.name,
            n=subject.n,
            size=subject.size,
            predicted=price.predicted,
            values=_rounded(finding.values),
            command=finding.command if finding.fired else "",
            seconds=round(time.monotonic() - started, 2),
        )

    def _write(self) -> dict[str, Any]:
        order = list(TABLE)
        findings = sorted(self.findings.values(), key=lambda finding: order.index(finding.name))
        spec = hashlib.sha256(canonical(self.subject.run.header.document["spec"]).encode()).hexdigest()
        head = {
            "run_id": self.subject.run.run_id,
            "spec_sha256": spec,
            "n": self.subject.n,
            "size": self.subject.size,
            "environment": self.subject.worker.environment,
        }
        return write_audit(self.path, head, findings, order)


def _rounded(value: Any) -> Any:
    """Numbers with six significant digits, easier to read; infinite and NaN, which JSON lacks, become None."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if abs(value) < float("inf") else None
    return value
