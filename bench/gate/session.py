"""One call of the gate: read, make what is missing, compare, write reports. Torch is imported where it runs or re-scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError
from bench.gate.baseline import update
from bench.gate.check import Bars, check, read_baseline
from bench.gate.findings import Finding, Report
from bench.gate.report import as_junit, as_step_summary
from bench.records import find_record, write_whole
from bench.registry import Registry
from bench.runs import Run, read_run, read_runs


@dataclass(frozen=True, kw_only=True)
class Session:
    """A baseline, the results to judge, and what their names stand for.

    Arguments:
        baseline: Folder of the baseline's records.
        results: Folder of the results.
        bars: How strict to be.
        registry: What names stand for.
        data_dir: Where data sets lie.
        device: As on the command line.
        quiet: No progress.
    """

    baseline: Path
    results: Path
    bars: Bars
    registry: Registry
    data_dir: Path | None = None
    device: str = "auto"
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.baseline.resolve() == self.results.resolve():
            raise UserError(
                f"expected results elsewhere than the baseline, got {self.results} for both; name the folder of new runs with --results"
            )

    def check(self, before: list[Run], *, make: bool) -> Report:
        """The report on some runs of the baseline; with `make`, what is missing is run first."""
        return check(before, self._results(before, make=make), self.bars, self._stored)

    def update(self, reason: str, *, make: bool, add: Sequence[str] = (), samples: int | None = None) -> list[str]:
        """Puts the results in the baseline's place, and adds some runs to it; what changed, as phrases."""
        exists = any(self.baseline.glob("*/*/*/run.json"))
        before = read_baseline(self.baseline) if exists else []
        added = [read_run(find_record(self.results, run)) for run in add]
        after = [] if added else self._results(before, make=make and exists)
        return update(self.baseline, before, after, reason, added=added, samples=samples)

    def publish(self, report: Report, *, junit: Path | None, summary: str | None) -> None:
        """Writes JUnit XML, and adds to the file of a step summary."""
        if junit is not None:
            write_whole(junit, as_junit(report).encode())
        if not summary:
            return
        try:
            with open(summary, "a", encoding="utf-8") as file:
                file.write(as_step_summary(report))
        except OSError as error:
            raise UserError(
                f"expected to add to the step summary {summary}, got: {error.strerror}; unset GITHUB_STEP_SUMMARY"
            ) from error

    def _results(self, before: list[Run], *, make: bool) -> list[Run]:
        if not make:
            return list(read_runs(self.results))
        from bench.console_progress import Progress
        from bench.gate.make import make_runs

        return make_runs(
            before, self.results, self.registry, lambda: Progress(quiet=self.quiet), data_dir=self.data_dir, device=self.device
        )  # fmt: skip

    def _stored(self, run: Run, whose: str) -> list[Finding]:
        if not any((run.path / "adversarial").glob("*.safetensors")):
            return [Finding(check=f"stored images ({whose})", passed=None, detail="none are stored")]
        from bench.gate.stored import stored_images

        return stored_images(run, self.registry, whose, data_dir=self.data_dir, device=self.device)
