"""The gate as tests: `pytest --purebench-baseline DIR` adds one test per row of the baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.compare.findings import Report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options of the gate."""
    add = parser.getgroup("purebench", "regression gate of purebench").addoption
    results, baseline = "Folder of the results to judge. [default: results]", "Folder of the baseline's records."
    add("--purebench-baseline", metavar="DIR", help=f"{baseline} One test per row.")
    add("--purebench-results", metavar="DIR", default="results", help=results)
    add("--purebench-run", action="store_true", help="Run what is missing first. [default: no]")
    add("--purebench-margin", type=float, default=1.0, help="Smallest change that fails, in points. [default: 1.0]")
    add("--purebench-alpha", type=float, default=0.01, help="Two-sided level, after Holm. [default: 0.01]")


def pytest_configure(config: pytest.Config) -> None:
    """Refuses `--purebench-run` without a baseline."""
    if config.getoption("--purebench-run") and not config.getoption("--purebench-baseline"):
        raise pytest.UsageError(
            "expected --purebench-baseline DIR with --purebench-run, got none; name the folder of the baseline's records"
        )


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Adds the rows after the collected tests."""
    if config.getoption("--purebench-baseline"):
        items.extend(Gate.from_parent(session, name="purebench").collect())


class Gate(pytest.Collector):
    """The rows of one baseline, compared together when the first test runs."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item per row, and one for the checks over several rows."""
        from bench.compare.pairs import row_name
        from bench.console.progress import Progress
        from bench.errors import UserError
        from bench.gate.check import Bars, read_baseline
        from bench.gate.session import Session
        from bench.registry.tables import make_registry

        option = self.config.getoption
        try:
            self.gate = Session(
                baseline=Path(option("--purebench-baseline")),
                results=Path(option("--purebench-results")),
                bars=Bars(alpha=option("--purebench-alpha"), margin=option("--purebench-margin")),
                registry=make_registry(),
                progress=lambda: Progress(quiet=True),
            )
            self.before = read_baseline(self.gate.baseline)
        except UserError as error:
            raise pytest.UsageError(str(error)) from error
        self.report: Report | str = ""
        for run in self.before:
            yield Row.from_parent(self, name=f"{row_name(run)} [{run.run_id}]", run_id=run.run_id)
        yield Row.from_parent(self, name="all rows", run_id="")

    def compared(self) -> Report:
        """The report, computed once; an error fails the test of each row, in one sentence."""
        from bench.errors import BenchError

        if not self.report:
            try:
                self.report = self.gate.check(self.before, make=self.config.getoption("--purebench-run"))
            except BenchError as error:
                self.report = str(error)
        if isinstance(self.report, str):
            pytest.fail(self.report, pytrace=False)
        return self.report


class Row(pytest.Item):
    """One row of the baseline; without an id, the checks over several rows."""

    def __init__(self, *, run_id: str, **options: Any) -> None:
        super().__init__(**options)
        self.run_id = run_id

    def runtest(self) -> None:
        """Fails if a check of the row failed, with the row's report and the command to run next."""
        from bench.compare.findings import summed_up
        from bench.gate.report import renewal, row_text

        parent: Any = self.parent
        report = parent.compared()
        text = "" if self.run_id else summed_up(report.together)
        for row in report.rows:
            if row.run_id == self.run_id and not row.passed:
                text = row_text(row) + renewal(report, parent.gate.baseline, parent.gate.results)
        if text:
            pytest.fail(text, pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """The location and the name of the row in pytest's report."""
        return self.path, None, self.name
