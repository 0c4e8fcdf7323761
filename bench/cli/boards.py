"""The commands that show records side by side: leaderboards, paper tables, comparisons."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from bench.cli.help import KEPT, Sectioned
from bench.cli.options import Json, Out, Results, deliver, print_json
from bench.cli.report import purify
from bench.errors import UserError


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    for name, command in COMMANDS.items():
        app.command(name, cls=Sectioned)(command)


def leaderboard_command(
    dataset: Annotated[
        Optional[str], typer.Option(help="Only this data set.", rich_help_panel="Which rows, and how they are ranked")
    ] = None,
    threat: Annotated[Optional[str], typer.Option(help="Only this threat.")] = None,
    against: Annotated[
        Optional[str],
        typer.Option(
            help="Defense, by its name in the table, to test the others against, paired on the same images. [default: the first row]"
        ),
    ] = None,
    require: Annotated[
        list[str],
        typer.Option(
            metavar="CLASS",
            help="Class of attacks that a row needs to be ranked; repeatable. [default: full gradient, AutoAttack, black box, transfer]",
        ),
    ] = [],  # noqa: B006
    output: Annotated[
        str,
        typer.Option("--format", help="md, latex, csv, json, parquet or html.", rich_help_panel="How they are written"),
    ] = "md",
    commands: Annotated[
        bool, typer.Option("--commands", help="md, latex: add the commands that complete the rows that are not ranked.")
    ] = False,
    runs: Annotated[bool, typer.Option("--runs", help="md, latex: add the rules over draws, and every run.")] = False,
    brief: Annotated[bool, typer.Option("--brief", hidden=True)] = False,  # the default since 0.2
    width: Annotated[
        Optional[int],
        typer.Option(
            min=40,
            help="md: most characters in a line; the least important columns are left out. [default: the terminal's; no limit in a file]",
        ),
    ] = None,
    images: Annotated[
        Optional[int],
        typer.Option(
            min=0, help="html: images shown for each run that stores them. [default: as many as 150,000 values hold]"
        ),
    ] = None,
    purified: Annotated[
        bool,
        typer.Option("--purified", help="html: also show the images purified, which needs torch and the defenses."),
    ] = False,
    results: Annotated[
        list[Path],
        typer.Option(
            metavar="<path>",
            help="Folder of records; repeatable, to compare your own with others. [default: results]",
            rich_help_panel=KEPT,
            show_default=False,
        ),
    ] = [Path("results")],  # noqa: B006
    out: Annotated[
        Optional[Path],
        typer.Option("--out", "-o", help="File to write; for html a folder or a file. [default: stdout]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Clean and robust accuracy of every defense, ranked.

    A row counts an image only if it survives every attack on it. A rank is the position by this; beside it are the ranks that tests leave open.

    Example: bench leaderboard --threat linf:16/255 --format html --out site
    """
    from bench.registry.registry import own_package
    from bench.threat import ThreatModel

    leaderboards = own_package("leaderboards", "FORMATS")
    wanted = "json" if as_json else output
    if wanted not in leaderboards.FORMATS:
        raise UserError("leaderboard-format", formats=" or ".join(leaderboards.FORMATS), format=output)
    level = None if threat is None else str(ThreatModel.parse(threat))
    purifier = purify(allow_code=True) if purified and wanted == "html" else None
    text = leaderboards.render(
        results,
        wanted,
        dataset=dataset,
        threat=level,
        against=against,
        required=require,
        images=images,
        purifier=purifier,
        runs=runs,
        commands=commands,
        width=width or (terminal_width() if out is None else None),
    )
    page = out is not None and wanted == "html" and out.suffix.lower() not in (".html", ".htm")
    deliver(text, out / "index.html" if out is not None and page else out, folder=page)


def table_command(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A .toml file, or a ready spec: main, ablation, clean-robust, cost-robust, curve."
        ),
    ],
    results: Annotated[
        Optional[Path], typer.Option("--results", help="Folder of all records. [default: the file's]")
    ] = None,
    output: Annotated[Optional[str], typer.Option("--format", help="md, latex or csv; pdf or png for figures.")] = None,
    out: Out = None,
    dataset: Annotated[Optional[str], typer.Option(help="Only this data set. [default: the file's]")] = None,
    threat: Annotated[
        Optional[str], typer.Option(help="Only this threat; of a curve, this norm (linf). [default: the file's]")
    ] = None,
) -> None:
    """One paper table or figure from a spec.

    Example: bench table main --format latex --out main.tex
    """
    from bench.registry.registry import own_package

    leaderboards = own_package("leaderboards", "FORMATS")
    text, written = leaderboards.paper(spec, results=results, output=output, out=out, dataset=dataset, threat=threat)
    deliver(text, None if written else out)


def compare_command(
    a: Annotated[str, typer.Argument(metavar="A", help="Id of a run, a prefix, its folder, or a folder of results.")],
    b: Annotated[str, typer.Argument(metavar="B", help="As for A.")],
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """Two runs, or folders of runs, paired on the same images.

    Example: bench compare 6ba633 b07476
    """
    from bench.compare.compare import compare
    from bench.console.compare import comparison_text

    comparisons = compare(a, b, results)
    if as_json:
        print_json([part.as_dict() for part in comparisons])
    else:
        print("\n\n".join(map(comparison_text, comparisons)))


COMMANDS: dict[str, Any] = {"leaderboard": leaderboard_command, "table": table_command, "compare": compare_command}


def terminal_width() -> int | None:
    """The width of the terminal; None if stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
