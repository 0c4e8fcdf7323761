"""The gate as tests: `pytest --purebench-baseline DIR` adds one test per row of the baseline."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.compare.findings import RowReport
    from bench.errors import BenchError
    from bench.gate.session import Session


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    group = parser.getgroup("purebench", "regression gate of purebench")
    group.addoption("--purebench-baseline", metavar="DIR", help="Folder of the baseline's records: one test per row.")
    group.addoption(
        "--purebench-results",
        metavar="DIR",
        default="results",
        help="Folder of the results to judge. [default: results]",
    )
    group.addoption("--purebench-run", action="store_true", help="Make the runs that are missing. [default: no]")
    group.addoption(
        "--purebench-margin", type=float, default=1.0, help="Smallest change that fails, in points. [default: 1.0]"
    )
    group.addoption(
        "--purebench-alpha", type=float, default=0.01, help="Two-sided level of the tests, after Holm. [default: 0.01]"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuses to make the runs of no baseline."""
    if config.getoption("--purebench-run") and not config.getoption("--purebench-baseline"):
        raise pytest.UsageError(
            "expected --purebench-baseline DIR with --purebench-run, got none; name the folder of the baseline's records"
        )


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> str | None:
    """How many tests the baseline adds, which pytest's own count leaves out."""
    count = sum(isinstance(item, Row | Together) for item in items)
    baseline = config.getoption("--purebench-baseline")
    return f"and {count} tests of purebench for the baseline {baseline}" if baseline else None


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Adds the rows after the collected tests."""
    if config.getoption("--purebench-baseline"):
        items.extend(Gate.from_parent(session, name="purebench").collect())


class Gate(pytest.Collector):
    """The rows of one baseline; they are compared together, when the first is run."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item per row, and one for what concerns several rows."""
        from bench.compare.pairs import row_name
        from bench.console.progress import Progress
        from bench.errors import UserError
        from bench.gate.check import Bars, read_baseline
        from bench.gate.session import Session
        from bench.registry.tables import make_registry

        option = self.config.getoption
        try:
            bars = Bars(alpha=option("--purebench-alpha"), margin=option("--purebench-margin"))
            baseline = Path(option("--purebench-baseline"))
            self.before = read_baseline(baseline)
        except UserError as error:
            raise pytest.UsageError(str(error)) from error
        self.gate: Session = Session(
            baseline=baseline,
            results=Path(option("--purebench-results")),
            bars=bars,
            registry=make_registry(),
            progress=lambda: Progress(quiet=False),
            announce=self._announce,
        )
        self.report: Any = None
        self.errors: dict[str, BenchError] = {}
        for run in self.before:
            yield Row.from_parent(self, name=f"{row_name(run)} [{run.run_id}]", run_id=run.run_id)
        yield Together.from_parent(self, name="all rows")

    def compare(self) -> Any:
        """The report, made once; what ends it ends the test of each row, in one sentence."""
        from bench.errors import BenchError

        if self.report is None:
            try:
                with self._uncaptured():
                    make = self.config.getoption("--purebench-run")
                    self.report = self.gate.check(self.before, make=make, errors=self.errors)
            except BenchError as error:
                self.report = error
        if isinstance(self.report, BenchError):
            pytest.fail(str(self.report), pytrace=False)
        return self.report

    def row(self, run_id: str) -> RowReport:
        """The report on one row; what ended it ends its test, in one sentence."""
        report = self.compare()
        if run_id in self.errors:
            pytest.fail(str(self.errors[run_id]), pytrace=False)
        return next(row for row in report.rows if row.run_id == run_id)

    def _announce(self, text: str) -> None:
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(text)

    def _uncaptured(self) -> AbstractContextManager[None]:
        """Shows the progress of runs while they are made, which is long; without -s too."""
        manager: Any = self.config.pluginmanager.get_plugin("capturemanager")
        return nullcontext() if manager is None else manager.global_and_fixture_disabled()


class Row(pytest.Item):
    """One row of the baseline."""

    def __init__(self, *, run_id: str, **options: Any) -> None:
        super().__init__(**options)
        self.run_id = run_id

    def runtest(self) -> None:
        """Fails if any check of the row did."""
        parent: Any = self.parent
        row = parent.row(self.run_id)
        if not row.passed:
            raise RowFailed(row)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any, **__: Any) -> Any:
        """What was found, image by image, and what to run next, in place of a traceback."""
        if isinstance(excinfo.value, RowFailed):
            from bench.compare.findings import Report
            from bench.gate.report import renewal, row_text

            parent: Any = self.parent
            report, make = Report(rows=[excinfo.value.row], together=[]), self.config.getoption("--purebench-run")
            return row_text(excinfo.value.row) + renewal(report, parent.gate.baseline, parent.gate.results, make=make)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the row is reported."""
        return self.path, None, self.name


class Together(pytest.Item):
    """What concerns several rows."""

    def runtest(self) -> None:
        """Fails if a check over several rows did."""
        parent: Any = self.parent
        failed = [
            f"{finding.check}: {finding.detail}" for finding in parent.compare().together if finding.passed is False
        ]
        if failed:
            pytest.fail("; ".join(failed), pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it is reported."""
        return self.path, None, self.name


class RowFailed(Exception):
    """A row of the baseline is not as it was."""

    def __init__(self, row: RowReport) -> None:
        super().__init__(row.name)
        self.row = row
