"""The command `bench check`: the gate in CI."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from bench.cli.help import Sectioned
from bench.cli.options import DataDir, Device, Json, Quiet, Results, print_json, say
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.gate.session import Update


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command("check", cls=Sectioned)(check_command)


def check_command(
    baseline: Annotated[
        Path,
        typer.Option(
            "--baseline", help="Folder of the baseline's records.", rich_help_panel="What is compared, and how"
        ),
    ],
    make: Annotated[bool, typer.Option("--run", help="Make the runs that are missing.")] = False,
    margin: Annotated[float, typer.Option(help="Smallest change that fails the gate, in percentage points.")] = 1.0,
    alpha: Annotated[float, typer.Option(help="Two-sided level of the tests, after Holm.")] = 0.01,
    update: Annotated[
        bool,
        typer.Option("--update", help="Replace the baseline by the results.", rich_help_panel="A new baseline instead"),
    ] = False,
    reason: Annotated[str, typer.Option(help="The reason, with --update; kept in the baseline.")] = "",
    add: Annotated[
        list[str],
        typer.Option("--add", metavar="RUN", help="With --update: a run of the results to add as a row; repeatable."),
    ] = [],  # noqa: B006
    samples: Annotated[
        Optional[int],
        typer.Option("--samples", "-n", min=1, help="With --update: images to keep of each row. [default: all]"),
    ] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    results: Results = Path("results"),
    junit: Annotated[Optional[Path], typer.Option(help="JUnit XML to write.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The gate in CI: is robustness still that of the baseline?

    Exit code 1 if it changed, in either direction.

    Example: bench check --baseline baseline --run --junit report.xml
    """
    from bench.console.progress import Progress
    from bench.gate.check import Bars, read_baseline
    from bench.gate.session import Session
    from bench.registry.tables import make_registry

    session = Session(
        baseline=baseline,
        results=results,
        bars=Bars(alpha=alpha, margin=margin),
        registry=make_registry(),
        progress=lambda: Progress(quiet=quiet),
        data_dir=data_dir,
        device=device,
        announce=lambda text: None if quiet else typer.echo(text, err=True),
    )
    if update:
        done = session.update(reason, make=make, add=add, samples=samples)
        print_json(asdict(done)) if as_json else say(_updated(done, baseline))
        return
    if add or samples or reason:
        raise UserError("gate-update-missing")
    from bench.gate.report import as_document, as_text, error_junit, publish, renewal

    try:
        report = session.check(read_baseline(baseline), make=make)
    except UserError as error:
        if junit:
            from bench.files.atomic import write_whole

            write_whole(junit, error_junit(str(error)))
        raise
    publish(report, junit=junit, summary=os.environ.get("GITHUB_STEP_SUMMARY"))
    text = as_text(report) + renewal(report, baseline, results)
    print_json(as_document(report)) if as_json else print(text)
    raise typer.Exit(0 if report.passed else 1)


def _updated(done: Update, baseline: Path) -> str:
    """The changes of a baseline, as text."""
    from bench.text.columns import folded
    from bench.text.words import counted

    lines = [folded("", phrase) for phrase in done.changed]
    lines += [folded("left out, its code changed: ", folder) for folder in done.left_out]
    lines += [folded("note  ", note) for note in done.notes]
    none = "" if done.changed else "; --run makes the runs of changed code, --add RUN adds a row"
    return "\n".join([*lines, f"{counted(len(done.changed), 'row')} changed in {baseline}{none}"])
