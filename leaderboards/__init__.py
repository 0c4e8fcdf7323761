"""Records to tables, pages and figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaderboards.boards import Board

FORMATS = ("md", "latex", "csv", "json", "html")


def render(
    results: Path | Sequence[Path],
    output: str,
    *,
    dataset: str | None = None,
    threat: str | None = None,
    against: str | None = None,
    required: Sequence[str] = (),
    images: int = 8,
    purifier: Callable[..., Any] | None = None,
    brief: bool = False,
    width: int | None = None,
) -> str:
    """The leaderboard of all records below `results` as text in one of `FORMATS`.

    Arguments:
        results: Folder of all records, or several.
        output: One of `FORMATS`.
        dataset: Only this data set.
        threat: Only this threat.
        against: The defense to test the others against; None for the first row.
        required: Classes of attacks that a row needs to be ranked; all if none are named.
        images: For the page: images shown of each run that stores them.
        purifier: For the page: gives the purified clean and adversarial images of a run and its evidence.
        brief: For Markdown and LaTeX: leaves out the runs behind the rows.
        width: For Markdown: characters of a line that it has to fit; as many as it takes, if left out.

    Raises:
        UserError: There are no records, or a name is none of theirs.
    """
    from leaderboards.boards import collect
    from leaderboards.classes import REQUIRED

    boards = collect(results, dataset=dataset, threat=threat, against=against, required=required or REQUIRED)
    if output == "html":
        from leaderboards.page import as_html

        return as_html(boards, images=images, purifier=purifier)
    return as_text(boards, output, brief=brief, width=width)


def as_text(boards: Sequence[Board], output: str, *, brief: bool = False, width: int | None = None) -> str:
    """Boards as text in one of `FORMATS` but `html`."""
    if output == "json":
        from leaderboards.formats.documents import documents

        return json.dumps(documents(boards), indent=1, allow_nan=False)
    if output == "csv":
        from leaderboards.formats.frames import boards_as_csv

        return boards_as_csv(boards)
    from leaderboards.columns import tables

    if output == "md":
        from leaderboards.formats.markdown import as_markdown as form
        from leaderboards.formats.markdown import fitted
    else:
        from leaderboards.formats.latex import as_latex as form
    made = [table for board in boards for table in tables(board, runs=not brief)]
    if output == "md" and width is not None:
        made = [fitted(table, width) for table in made]
    if output == "latex":  # brackets would make it too wide for a page
        made = [
            replace(
                table,
                interval="pm",
                remarks=[
                    text.replace("In brackets 95", "±: half of the 95").replace("intervals,", "interval,")
                    for text in table.remarks
                ],
            )
            for table in made
        ]
    return "\n\n".join(map(form, made))


def paper(
    spec: str,
    *,
    results: Path | None = None,
    output: str | None = None,
    out: Path | None = None,
    dataset: str | None = None,
    threat: str | None = None,
) -> tuple[str, bool]:
    """The text of a paper table, or the paths of a figure, and whether it was written; see `leaderboards.papers.make`."""
    from leaderboards.papers.make import make

    return make(spec, results=results, output=output, out=out, dataset=dataset, threat=threat)


def model_info(results: Path, run: str, words: Mapping[str, str]) -> str:
    """RobustBench's JSON of the defense that a run belongs to; see `leaderboards.robustbench`."""
    from leaderboards.robustbench import model_info as made

    return made(results, run, words)


def reference_row(file: Path, results: Path, threat: str | None = None) -> tuple[Path, str]:
    """Where a row of RobustBench belongs below the results, and what it says there; see `leaderboards.robustbench`."""
    from leaderboards.robustbench import reference_row as made

    return made(file, results, threat)
