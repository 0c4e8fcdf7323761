"""Tables, pages and figures from records."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaderboards.boards import Board

FORMATS = ("md", "latex", "csv", "json", "parquet", "html")


def render(
    results: Path | Sequence[Path],
    output: str,
    *,
    dataset: str | None = None,
    threat: str | None = None,
    against: str | None = None,
    required: Sequence[str] = (),
    images: int | None = None,
    purifier: Callable[..., Any] | None = None,
    runs: bool = False,
    commands: bool = False,
    width: int | None = None,
) -> str | bytes:
    """The leaderboard of all records below `results` in one of `FORMATS`: text, but for Parquet.

    Arguments:
        results: Folder of all records, or several.
        output: One of `FORMATS`.
        dataset: Only this data set.
        threat: Only this threat.
        against: The defense to test the others against; None for the first row.
        required: Classes of attacks that a row needs to be ranked; all if empty.
        images: For the page: the number of images shown for each run that stores images; None fits it to their size.
        purifier: For the page: a function from a run and its evidence to the purified clean and adversarial images.
        runs: For Markdown and LaTeX: adds tables of draws and of the runs.
        commands: For Markdown and LaTeX: adds the commands that complete rows.
        width: For Markdown: the most characters in a line; no limit if None.

    Raises:
        UserError: There are no records, or a name is not among them.
    """
    from leaderboards.boards import collect
    from leaderboards.classes import REQUIRED

    boards = collect(results, dataset=dataset, threat=threat, against=against, required=required or REQUIRED)
    if output == "html":
        from leaderboards.page import as_html

        return as_html(boards, images=images, purifier=purifier)
    if output == "parquet":
        from bench.exchange.tables import as_parquet
        from leaderboards.formats.frames import boards_as_frame

        return as_parquet(boards_as_frame(boards))
    return as_text(boards, output, runs=runs, commands=commands, width=width)


def as_text(
    boards: Sequence[Board], output: str, *, runs: bool = False, commands: bool = False, width: int | None = None
) -> str:
    """Boards as text in one of `FORMATS` except `html` and `parquet`; the arguments are those of `render`."""
    if output == "json":
        from leaderboards.formats.documents import documents

        return json.dumps(documents(boards), indent=1, allow_nan=False)
    if output == "csv":
        from leaderboards.formats.frames import boards_as_csv

        return boards_as_csv(boards)
    from leaderboards.columns import tables

    made = [table for board in boards for table in tables(board, runs=runs, commands=commands)]
    if output == "md":
        from leaderboards.formats.markdown import as_markdown, fitted

        shown = made if width is None else [fitted(table, width) for table in made]
        return "\n\n".join(as_markdown(table, hints=not (runs and commands), width=width) for table in shown)
    from leaderboards.formats.latex import as_latex

    return "\n\n".join(as_latex(replace(table, interval="pm", explained=_halves(table.explained))) for table in made)


def _halves(explained: Mapping[str, str]) -> dict[str, str]:
    """The meaning of columns where half an interval is shown, since with brackets a table would be too wide for a page."""
    words = ("In brackets 95 % intervals,", "±: half of the 95 % interval,")
    return {title: text.replace(*words) for title, text in explained.items()}


def paper(
    spec: str,
    *,
    results: Path | None = None,
    output: str | None = None,
    out: Path | None = None,
    dataset: str | None = None,
    threat: str | None = None,
) -> tuple[str, bool]:
    """The text of a paper table or the paths of a figure, and whether files were written; see `leaderboards.papers.make`."""
    from leaderboards.papers.make import make

    return make(spec, results=results, output=output, out=out, dataset=dataset, threat=threat)


def report(paths: Sequence[Path], *, images: int = 8, purifier: Callable[..., Any] | None = None) -> str:
    """The report of one run or of two, as one HTML file; see `leaderboards.reports`."""
    from leaderboards.reports import as_html

    return as_html(paths, images=images, purifier=purifier)


def model_info(results: Path, run: str, words: Mapping[str, str]) -> str:
    """RobustBench's JSON for the defense of a run; see `leaderboards.robustbench`."""
    from leaderboards.robustbench import model_info as made

    return made(results, run, words)


def reference_row(file: Path, results: Path, threat: str | None = None) -> tuple[Path, str]:
    """The path and the content of an imported RobustBench row below the results; see `leaderboards.robustbench`."""
    from leaderboards.robustbench import reference_row as made

    return made(file, results, threat)
