"""The command `bench suite`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cli.help import KEPT, WHERE, Sectioned
from bench.cli.options import Address, GpusPerWorker, Json, Quiet, ShardTimeout, Workers, number_or, print_json, say
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.console.suite import SuiteProgress
    from bench.engines.options import EngineOptions
    from bench.registry.registry import Registry
    from bench.suite.cells import Cell
    from bench.suite.finished_cells import FinishedCells
    from bench.suite.outcome import Outcome
    from bench.suite.suite import Suite


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command("suite", cls=Sectioned)(suite_command)


def suite_command(
    file: Annotated[
        str,
        typer.Argument(
            help="A TOML file, or first, smoke, fashion-mnist-standard, cifar10-standard, imagenet-standard."
        ),
    ],
    only: Annotated[
        list[str],
        typer.Option(
            "--only",
            metavar="AXIS=PATTERN",
            help="Only cells that match, as defense='dpsam*'; repeatable.",
            rich_help_panel="What is made",
        ),
    ] = [],  # noqa: B006
    samples: Annotated[
        Optional[str], typer.Option("--samples", "-n", help="Images of every cell, or all. [default: the file's]")
    ] = None,
    data_dir: Annotated[
        Optional[Path],
        typer.Option("--data-dir", help="Folder of data sets, also for downloads. [default: the file's]"),
    ] = None,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Continue after a cell that failed.")] = False,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Run the code that the file names by path or module.")
    ] = False,
    device: Annotated[
        Optional[str],
        typer.Option("--device", help="As for bench run. [default: the file's, else auto]", rich_help_panel=WHERE),
    ] = None,
    engine: Annotated[
        Optional[str], typer.Option("--engine", help="local or ray. [default: the file's, else local]")
    ] = None,
    workers: Workers = None,
    gpus_per_worker: GpusPerWorker = None,
    address: Address = None,
    shard_timeout: ShardTimeout = None,
    results: Annotated[
        Optional[Path],
        typer.Option(
            "--results",
            help="Folder of all records. [default: the file's, else results]",
            rich_help_panel=KEPT,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the cells, their state, and the cost of the rest; then stop.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the missing runs of a matrix.

    The same command again resumes it, also after a kill.

    Example: bench suite first
    """
    from bench.engines.options import EngineOptions
    from bench.registry.tables import make_registry
    from bench.suite.choice import ALL, check_names, chosen
    from bench.suite.file import find_suite, read_suite
    from bench.suite.finished_cells import FinishedCells

    registry, path = make_registry(), find_suite(file)
    content = read_suite(path)
    count = None if samples is None else number_or(samples, "--samples", "all") or ALL
    cells = chosen(content, path, only, count, data_dir)
    check_names(registry, cells, file, allow_code=allow_code, keep_going=keep_going)
    devices = device or content.device
    engine_options = EngineOptions(
        name=engine or content.engine,
        workers=workers or content.workers,
        devices=tuple(devices.split(",")),
        gpus_per_worker=gpus_per_worker,
        address=address,
        shard_timeout=shard_timeout,
    )
    finished = FinishedCells(results or content.results, registry)
    execution = {
        "results": results or content.results,
        "device": devices,
        "mix_environments": content.mix_environments,
        "keep_going": keep_going,
    }
    work = _Work(cells, execution, registry, finished, engine_options, quiet, tuple(content.board))
    if dry_run:
        _show_outlooks(work, as_json)
    else:
        _show_outcomes(work, as_json)


@dataclass(frozen=True)
class _Work:
    cells: list[Cell]
    execution: dict[str, Any]
    registry: Registry
    finished: FinishedCells
    engine: EngineOptions
    quiet: bool
    board: tuple[str, ...]

    def suite(self, progress: SuiteProgress) -> Suite:
        """The suite of the cells."""
        from bench.suite.suite import Execution, Suite

        return Suite(self.cells, Execution(**self.execution), self.registry, self.finished, progress)


def _show_outlooks(work: _Work, as_json: bool) -> None:
    from bench.console.suite import SuiteProgress, outlook_documents, outlook_text, pricing
    from bench.suite.outlook import outlooks

    suite = work.suite(SuiteProgress(work.cells, quiet=True))
    looks = list(pricing(outlooks(suite), len(work.cells), quiet=work.quiet))
    if as_json:
        print_json(outlook_documents(looks, work.engine.count))
    else:
        say(outlook_text(looks, work.engine.count))


def _show_outcomes(work: _Work, as_json: bool) -> None:
    from bench.console.suite import outcome_documents, outcome_text

    outcomes = _finished_outcomes(work) or _make(work)
    if as_json:
        print_json(outcome_documents(outcomes))
    else:
        say(outcome_text(outcomes))
        say(f"\n{_board(work)}")
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed:
        error = BenchError("suite-cells-failed", count=len(failed), label=failed[0].cell.label, error=failed[0].error)
        error.exit_code = getattr(failed[0].error, "exit_code", BenchError.exit_code)
        raise error


def _board(work: _Work) -> str:
    """The board that the suite asks for; else the command that prints one."""
    from bench.console.steps import elsewhere, steps_text

    if not work.board:
        return steps_text([(f"bench leaderboard{elsewhere(work.finished.results)}", "the runs side by side")])
    from bench.cli.boards import terminal_width
    from bench.registry.registry import own_package

    leaderboards = own_package("leaderboards", "FORMATS")
    return str(leaderboards.render(work.finished.results, "md", required=work.board, width=terminal_width()))


def _finished_outcomes(work: _Work) -> list[Outcome]:
    """The outcomes if every cell is finished, without importing torch; else none."""
    from bench.suite.outcome import Outcome

    figures = [work.finished.find(cell) for cell in work.cells]
    if None in figures:
        return []
    return [Outcome(cell, "done", found) for cell, found in zip(work.cells, figures, strict=True)]


def _make(work: _Work) -> list[Outcome]:
    from bench.console.suite import SuiteProgress
    from bench.engines.make import make_engine

    with SuiteProgress(work.cells, quiet=work.quiet) as progress:
        suite = work.suite(progress)
        with make_engine(work.engine, work.registry) as engine:
            return suite.run(engine)
