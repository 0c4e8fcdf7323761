"""The gate as tests: `pytest --purebench-baseline DIR` adds one test per row of the baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.gate.findings import RowReport
    from bench.gate.session import Session


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    group = parser.getgroup("purebench", "regression gate of purebench")
    group.addoption("--purebench-baseline", metavar="DIR", help="Folder of the baseline's records: one test per row.")
    group.addoption("--purebench-results", metavar="DIR", default="results", help="Folder of the results to judge.")
    group.addoption("--purebench-run", action="store_true", help="Make the runs that are missing.")
    group.addoption("--purebench-margin", type=float, default=1.0, help="Smallest change that fails, in points.")
    group.addoption("--purebench-alpha", type=float, default=0.01, help="Two-sided level of the tests, after Holm.")


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Adds the rows after the collected tests."""
    if config.getoption("--purebench-baseline"):
        items.extend(Gate.from_parent(session, name="purebench").collect())


class Gate(pytest.Collector):
    """The rows of one baseline; they are compared together, when the first is run."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item per row, and one for what concerns several rows."""
        from bench.cli import make_registry
        from bench.errors import UserError
        from bench.gate.check import Bars, read_baseline
        from bench.gate.pairs import Pair
        from bench.gate.session import Session

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
            quiet=True,
        )
        self.report: Any = None
        for place, run in enumerate(self.before):
            yield Row.from_parent(self, name=f"{Pair(run, None, []).name} [{run.run_id}]", place=place)
        yield Together.from_parent(self, name="all rows")

    def compare(self) -> Any:
        """The report, made once; what ends it ends the test of each row, in one sentence."""
        from bench.errors import BenchError

        if self.report is None:
            try:
                self.report = self.gate.check(self.before, make=self.config.getoption("--purebench-run"))
            except BenchError as error:
                self.report = error
        if isinstance(self.report, BenchError):
            pytest.fail(str(self.report), pytrace=False)
        return self.report


class Row(pytest.Item):
    """One row of the baseline."""

    def __init__(self, *, place: int, **options: Any) -> None:
        super().__init__(**options)
        self.place = place

    def runtest(self) -> None:
        """Fails if any check of the row did."""
        parent: Any = self.parent
        row = parent.compare().rows[self.place]
        if not row.passed:
            raise RowFailed(row)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any, **__: Any) -> Any:
        """What was found, image by image, and what to run next, in place of a traceback."""
        if isinstance(excinfo.value, RowFailed):
            from bench.gate.findings import Report
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
