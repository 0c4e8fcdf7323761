"""Paper tables and figures from their specs."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UserError
from bench.files.atomic import write_whole
from bench.threat import ThreatModel
from leaderboards.boards import Board, collect, only_one
from leaderboards.classes import REQUIRED
from leaderboards.papers.spec import PaperSpec, read_spec

TABLES, FIGURES = ("md", "latex", "csv"), ("pdf", "png")


def make(
    name: str,
    *,
    results: Path | None = None,
    output: str | None = None,
    out: Path | None = None,
    dataset: str | None = None,
    threat: str | None = None,
) -> tuple[str, bool]:
    """The text of a table or the paths of a figure, and whether files were written.

    A figure is written as PDF and as PNG, or as the one that `output` or the suffix of `out` names.

    Arguments:
        name: A `.toml` file, or the name of a ready spec.
        results: Folder of all records; None for the spec's.
        output: Format.
        out: File, or for a figure a folder.
        dataset: Name of the data set; None for the spec's.
        threat: Threat model; None for the spec's.

    Raises:
        UserError: The spec, the format or the records do not match.
    """
    stem, spec = read_spec(name)
    asked = {"dataset": dataset, "threat": threat}
    spec = spec.model_copy(update={key: value for key, value in asked.items() if value is not None})
    formats = TABLES if spec.kind == "table" else FIGURES
    if output is not None and output not in formats:
        raise UserError("figure-format", formats=" or ".join(formats), kind=spec.kind, format=output)
    boards = _boards(spec, results or spec.results)
    if spec.kind == "table":
        return _table(spec, only_one(boards), output or "md"), False
    return _figure(stem, spec, boards, output, out), True


def _boards(spec: PaperSpec, results: Path) -> list[Board]:
    required = spec.require or REQUIRED
    if spec.kind == "figure" and spec.plot == "curve":
        boards = collect(results, dataset=spec.dataset, required=required)
        norm = (spec.threat or "").partition(":")[0].strip().lower()
        found = [board for board in boards if norm in ("", ThreatModel.parse(board.threat).norm)]
        return found or collect(results, dataset=spec.dataset, threat=_threat(spec), required=required)
    return collect(results, dataset=spec.dataset, threat=_threat(spec), required=required)


def _threat(spec: PaperSpec) -> str | None:
    return None if spec.threat is None else str(ThreatModel.parse(spec.threat))


def _table(spec: PaperSpec, board: Board, output: str) -> str:
    from leaderboards.papers.table import paper_table

    table = paper_table(spec, board)
    if output == "csv":
        from leaderboards.formats.frames import table_as_csv

        return table_as_csv(table)
    if output == "latex":
        from leaderboards.formats.latex import as_latex

        return as_latex(table)
    from leaderboards.formats.markdown import as_markdown

    return as_markdown(table)


def _figure(stem: str, spec: PaperSpec, boards: list[Board], output: str | None, out: Path | None) -> str:
    from leaderboards.papers.figures import figure
    from leaderboards.papers.series import panels

    made = panels(spec, boards)
    suffix = out.suffix.lstrip(".").lower() if out is not None else ""
    wanted = [output] if output else [suffix] if suffix in FIGURES else list(FIGURES)
    folder = out if out is not None and suffix not in FIGURES else None
    paths = []
    for kind in wanted:
        path = (folder or Path()) / f"{stem}.{kind}" if folder is not None or out is None else out
        write_whole(path, figure(made, spec.width, kind))
        paths.append(path)
    return "\n".join(map(str, paths))
