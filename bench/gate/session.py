"""One call of the gate: read, make what is missing, compare, write reports. Torch is imported where it runs or re-scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.compare.findings import Finding, Report
from bench.compare.pairs import row_name
from bench.errors import BenchError, UserError
from bench.figures.runs import Run, read_run, read_runs
from bench.files.atomic import write_whole
from bench.gate.baseline import update
from bench.gate.check import Bars, Today, check, read_baseline
from bench.gate.report import as_junit, as_step_summary
from bench.gate.today import check_row, gone, other_code
from bench.records.lookup import find_record
from bench.records.spec import UNDEFENDED
from bench.registry.registry import Registry
from bench.threat import SMALLEST, ThreatModel

FLOOR = 0.02
"""Robust accuracy at and below which a loss of robustness cannot show."""


@dataclass(frozen=True, kw_only=True)
class Update:
    """What became of a baseline.

    Arguments:
        changed: What changed in its rows, as phrases.
        first: Whether there was none before.
        left_out: Folders of the runs that a first baseline leaves out, since their code is not today's.
        notes: What its maker should know, in sentences.
        stale: Whether the results that stand for its rows are of other code than today's.
    """

    changed: list[str]
    first: bool
    left_out: list[str]
    notes: list[str]
    stale: bool


@dataclass(frozen=True, kw_only=True)
class Session:
    """A baseline, the results to judge, and what their names stand for.

    Arguments:
        baseline: Folder of the baseline's records.
        results: Folder of the results.
        bars: How strict to be.
        registry: What names stand for.
        progress: Makes what shows the progress of one run.
        data_dir: Where data sets lie.
        device: As on the command line.
        announce: Told which run is made, before it is.
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
            raise UserError(
                f"expected results elsewhere than the baseline, got {self.results} for both; name the folder of new runs with --results"
            )

    def check(self, before: list[Run], *, make: bool, errors: dict[str, BenchError] | None = None) -> Report:
        """The report on some runs of the baseline; with `make`, what is missing is run first.

        Arguments:
            before: The rows.
            make: Whether to make what is missing.
            errors: Takes what ends a row, by the row's id, and leaves the others to be judged; None raises it.
        """
        self._check_rows(before, make=make, errors=errors)
        after = self._results(before, make=make, errors=errors)
        kept = [run for run in before if run.run_id not in (errors or {})]
        today = Today(other_code=self._other_code, twin=lambda run: gone(run, before, self.registry))
        return check(kept, after, self.bars, self._stored if errors is None else self._stored_or_why, today)

    def update(self, reason: str, *, make: bool, add: Sequence[str] = (), samples: int | None = None) -> Update:
        """Puts the results in the baseline's place, and adds some runs to it.

        Raises:
            UserError: There is nothing to put there, or no reason.
        """
        exists = any(self.baseline.glob("*/*/*/run.json"))
        before = read_baseline(self.baseline) if exists else []
        added = [read_run(find_record(self.results, run)) for run in add]
        self._check_rows(before if make and not added else [], make=make)
        after = [] if added else self._results(before, make=make and exists)
        first = not before
        old = [run for run in after if self._other_code(run)]
        if first and old:
            after = [run for run in after if run not in old]
            if not after:
                raise UserError(
                    f"expected results of today's code to make a baseline of, got only such whose code is gone: {', '.join(str(run.path) for run in old)}; "
                    "make them again with bench run, or name one with --add RUN"
                )
        changed = update(self.baseline, before, after, reason, added=added, samples=samples)
        rows = read_baseline(self.baseline) if changed else []
        stale = {run.run_id for run in before} & {run.run_id for run in old}
        return Update(
            changed=changed, first=first, left_out=[str(run.path) for run in old] if first else [],
            notes=[*self._of_old_code(added), *(note for run in rows for note in _on_the_floor(run))], stale=bool(stale),
        )  # fmt: skip

    def publish(self, report: Report, *, junit: Path | None, summary: str | None) -> None:
        """Writes JUnit XML, and adds to the file of a step summary."""
        if junit is not None:
            write_whole(junit, as_junit(report))
        if not summary:
            return
        try:
            with open(summary, "a", encoding="utf-8") as file:
                file.write(as_step_summary(report))
        except OSError as error:
            raise UserError(
                f"expected to add to the step summary {summary}, got: {error.strerror}; unset GITHUB_STEP_SUMMARY"
            ) from error

    def _of_old_code(self, added: list[Run]) -> list[str]:
        return [
            f"{row_name(run)} [{run.run_id}] was made by other code than today's, which the next check judges by it"
            for run in added
            if self._other_code(run)
        ]

    def _other_code(self, run: Run) -> list[str]:
        return other_code(run, self.registry)

    def _check_rows(self, before: list[Run], *, make: bool, errors: dict[str, BenchError] | None = None) -> None:
        """Checks names and arguments of all rows that are to run or to be scored again, before anything does."""
        for run in before:
            every = _stores_images(run)
            with _kept(run, errors):
                if make or every:
                    check_row(run, self.registry, self.baseline, self.results, every=every)

    def _results(self, before: list[Run], *, make: bool, errors: dict[str, BenchError] | None = None) -> list[Run]:
        """What there is, or with `make` one run a row."""
        if not make:
            return list(read_runs(self.results))
        from bench.gate.make import make_runs

        made = []
        for run in (run for run in before if run.run_id not in (errors or {})):
            with _kept(run, errors):
                made += make_runs(
                    [run], self.results, self.registry, self.progress, self.announce,
                    data_dir=self.data_dir, device=self.device,
                )  # fmt: skip
        return made

    def _stored_or_why(self, run: Run, whose: str) -> list[Finding]:
        """The findings on stored images; a failed one that says why if they cannot be scored."""
        try:
            return self._stored(run, whose)
        except BenchError as error:
            return [Finding(check=f"stored images ({whose})", passed=False, detail=str(error))]

    def _stored(self, run: Run, whose: str) -> list[Finding]:
        if not _stores_images(run):
            return [Finding(check=f"stored images ({whose})", passed=None, detail="none are stored")]
        from bench.gate.stored import stored_images

        return stored_images(run, self.registry, whose, data_dir=self.data_dir, device=self.device)


@contextmanager
def _kept(run: Run, errors: dict[str, BenchError] | None) -> Iterator[None]:
    """Keeps what ends a row, if there is where to keep it."""
    try:
        yield
    except BenchError as error:
        if errors is None:
            raise
        errors[run.run_id] = error


def _stores_images(run: Run) -> bool:
    return any((run.path / "adversarial").glob("*.safetensors"))


def _on_the_floor(run: Run) -> list[str]:
    """That a row cannot show a loss of robustness, and the ball of half the radius."""
    robust = run.shares().mean()
    if robust > FLOOR or run.spec["defense"]["name"] == UNDEFENDED:
        return []
    threat = ThreatModel.parse(run.spec["threat"])
    half = threat.eps / 2
    if half < SMALLEST:
        return []
    smaller = ThreatModel(threat.norm, half)
    return [
        f"{row_name(run)} is on the floor, {100 * robust:.1f} % robust: a loss of robustness cannot show there; try a smaller ball, --threat {smaller}"
    ]
