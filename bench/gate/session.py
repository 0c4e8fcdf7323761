"""One call of the gate: reads runs, makes missing ones, then compares or updates. Torch is imported only to run or score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.compare.findings import Finding, Report
from bench.compare.pairs import row_name
from bench.errors import UserError
from bench.figures.runs import Run, read_run, read_runs
from bench.gate.baseline import update
from bench.gate.check import Bars, check, read_baseline
from bench.gate.current_code import check_row, other_code
from bench.records.lookup import find_record
from bench.records.seal import SEAL
from bench.records.spec import UNDEFENDED
from bench.registry.registry import Registry

FLOOR = 0.02
"""Robust accuracy up to which a loss of robustness cannot show."""


@dataclass(frozen=True, kw_only=True)
class Update:
    """The changes of a baseline.

    Arguments:
        changed: The changed rows, as phrases.
        left_out: Folders of runs that are not in the first baseline, since their code changed.
        notes: Warnings.
    """

    changed: list[str]
    left_out: list[str]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Session:
    """A baseline and the results to judge.

    Arguments:
        baseline: Folder of the baseline's records.
        results: Folder of the results.
        bars: The strictness.
        registry: Finds names.
        progress: Makes the progress display of one run.
        data_dir: Where data sets lie.
        device: As on the command line.
        announce: Receives a sentence before each run.
    """

    baseline: Path
    results: Path
    bars: Bars
    registry: Registry
    progress: Callable[[], AbstractContextManager[Any]]
    data_dir: Path | None = None
    device: str = "auto"
    announce: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        if self.baseline.resolve() == self.results.resolve():
            raise UserError("gate-same-folder", results=self.results)

    def check(self, before: list[Run], *, make: bool) -> Report:
        """The report on the runs of the baseline; with `make`, missing runs are made first."""
        return check(before, self._results(before, make=make), self.bars, self._stored, self._other_code)

    def update(self, reason: str, *, make: bool, add: Sequence[str] = (), samples: int | None = None) -> Update:
        """Replaces the baseline's runs by the results, or adds some runs to it.

        Raises:
            UserError: There are no results of the current code, or no reason.
        """
        before = read_baseline(self.baseline) if any(self.baseline.glob("*/*/*/run.json")) else []
        added = [read_run(find_record(self.results, run)) for run in add]
        after = [] if added else self._results(before, make=make and bool(before))
        old = [] if before else [run for run in after if self._other_code(run)]
        if old and len(old) == len(after):
            raise UserError("gate-code-changed", paths=", ".join(str(run.path) for run in old))
        after = [run for run in after if run not in old]
        changed = update(self.baseline, before, after, reason, added=added, samples=samples)
        notes = [note for run in read_baseline(self.baseline) for note in _on_the_floor(run)] if changed else []
        return Update(changed=changed, left_out=[str(run.path) for run in old], notes=notes)

    def _results(self, before: list[Run], *, make: bool) -> list[Run]:
        """The existing results, or with `make` one run per row; names and arguments of all rows are checked first."""
        for run in before:
            if make or _stores_images(run):
                check_row(run, self.registry, every=_stores_images(run))
        return [self._made(run) for run in before] if make else list(read_runs(self.results))

    def _made(self, old: Run) -> Run:
        """A run like a row: the same images and batch size, the current defaults; a finished run is reused."""
        from bench.plan.plan import plan
        from bench.plan.request import request_of
        from bench.run.runner import Options, record_path, run

        planned = plan(request_of(old.header, self.data_dir, defaults=True), self.registry)
        options = Options(
            samples=len(old),
            results=self.results,
            device=self.device,
            batch_size=next((part.batch_size for part in old.header.environments.values()), None),
            evidence=_stores_images(old),
        )
        path = record_path(planned, self.results)
        if not (path / SEAL).exists():
            self.announce(f"making {planned.spec.run_id}: {row_name(old)}")
        with self.progress() as progress:
            run(planned, options, progress)
        return read_run(path)

    def _other_code(self, run: Run) -> list[str]:
        return other_code(run, self.registry)

    def _stored(self, run: Run, whose: str) -> list[Finding]:
        if not _stores_images(run):
            return [Finding(check=f"stored images ({whose})", passed=None, detail="none are stored")]
        from bench.gate.stored import stored_images

        return stored_images(run, self.registry, whose, data_dir=self.data_dir, device=self.device)


def _stores_images(run: Run) -> bool:
    return any((run.path / "adversarial").glob("*.safetensors"))


def _on_the_floor(run: Run) -> list[str]:
    """A warning about a row that cannot show a loss of robustness."""
    robust = run.shares().mean()
    if robust > FLOOR or run.spec.defense.name == UNDEFENDED:
        return []
    return [f"{row_name(run)} is {100 * robust:.1f} % robust: a loss of robustness cannot show; use a smaller --threat"]
