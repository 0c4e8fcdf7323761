"""A paper table from its spec and a board."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.errors import UserError
from bench.figures.aggregate import PerImage
from bench.stats.intervals import mean_share
from bench.stats.paired import holm, paired_p
from leaderboards.boards import Board
from leaderboards.columns import believed_text
from leaderboards.papers.chosen import named_rows
from leaderboards.papers.spec import ColumnSpec, PaperSpec, RowSpec
from leaderboards.rows import Row, figure_of
from leaderboards.tables import Cell, Table, p_text

LEVEL = 0.05
Groups = list[tuple[str, list[tuple[str, Row]]]]

_VALUES: dict[str, Callable[[Row], Cell]] = {
    "eot": lambda row: Cell(row.eot),
    "delta_null": lambda row: Cell(row.delta_null, signed=True),
    "delta_undefended": lambda row: Cell(row.delta_undefended, signed=True),
    "score_passes": lambda row: Cell(row.passes),
    "n": lambda row: Cell(row.n),
    "draws": lambda row: Cell(row.draws),
    "seeds": lambda row: Cell(len(row.seeds)),
    "classifier": lambda row: Cell(row.classifier),
    "score_model": lambda row: Cell(row.score_model or "-"),
    "believed": lambda row: Cell(believed_text(row.verdict)),
    "p": lambda row: Cell(p_text(row.paired_p)),
}


def paper_table(spec: PaperSpec, board: Board) -> Table:
    """The table, with flags as notes.

    Raises:
        UserError: A row or an argument of the spec is not on the board.
    """
    groups = _groups(spec, board)
    rows = [row for _, group in groups for _, row in group]
    columns = [_column(column, rows, bold=spec.bold) for column in spec.columns]
    flags = list(dict.fromkeys(flag for row in rows for flag in row.flags))
    cells = iter(zip(*columns, strict=True))
    made = [
        (
            heading,
            [
                [Cell(title, marks=tuple(flags.index(flag) + 1 for flag in row.flags)), *next(cells)]
                for title, row in group
            ],
        )
        for heading, group in groups
    ]
    return Table(
        title=spec.caption or f"{board.dataset}, {board.threat}",
        columns=["Defense", *(column.title for column in spec.columns)],
        groups=made,
        notes=flags,
        remarks=[_remark(spec, board, rows)],
        label=spec.label,
        decimals=spec.decimals,
        interval=spec.interval,
    )


def _groups(spec: PaperSpec, board: Board) -> Groups:
    if spec.ablation:
        return _ablation(spec.ablation.defense, spec.ablation.vary, board)
    if spec.rows:
        return _chosen(spec.rows, board)
    keys = {
        "": lambda row: "",
        "classifier": lambda row: row.classifier,
        "score_model": lambda row: row.score_model or "no score model",
    }
    key = keys.get(spec.group) or (lambda row: "deterministic" if row.deterministic else "stochastic")
    rows = sorted(board.every, key=lambda row: -row.worst_case.value)
    headings = dict.fromkeys(map(key, rows))
    return [(heading, [(row.defense, row) for row in rows if key(row) == heading]) for heading in headings]


def _chosen(wanted: Sequence[RowSpec], board: Board) -> Groups:
    groups: Groups = []
    for part, found in named_rows(wanted, board.every, f"{board.dataset}, {board.threat}"):
        if part.group or not groups:
            groups.append((part.group, []))
        groups[-1][1].extend((part.title or row.defense, row) for row in found)
    return groups


def _ablation(name: str, vary: Sequence[str], board: Board) -> Groups:
    rows = [row for row in board.every if row.name == name]
    default = next((row for row in rows if row.defense == name), None)
    if default is None:
        raise UserError("table-ablation-default", name=name)
    strange = [argument for argument in vary if argument not in default.arguments]
    if strange:
        raise UserError("table-ablation-argument", name=name, arguments=default.arguments, argument=strange[0])
    groups: Groups = [("default", [(name, default)])]
    for argument in vary:
        others = [row for row in rows if _changed(row, default) == {argument}]
        others.sort(key=lambda row: row.arguments[argument])
        groups += [(argument, [(f"{argument} = {row.arguments[argument]:g}", row) for row in others])] if others else []
    return groups


def _changed(row: Row, default: Row) -> set[str]:
    same_parts = (row.classifier, row.score_model) == (default.classifier, default.score_model)
    changed = {key for key in default.arguments if row.arguments.get(key) != default.arguments[key]}
    return changed if same_parts else {"parts"}


def _column(column: ColumnSpec, rows: Sequence[Row], *, bold: bool) -> list[Cell]:
    if column.argument is not None:
        return [Cell(row.arguments.get(column.argument)) for row in rows]
    if column.value in _VALUES:
        return [_VALUES[column.value](row) for row in rows]
    figures = [_figure(column, row) for row in rows]
    remarks = [
        "" if part is None else row.remark(len(part[0]), part[1]) for row, part in zip(rows, figures, strict=True)
    ]
    own = [None if part is None or remark else part[0] for part, remark in zip(figures, remarks, strict=True)]
    best = _best(own) if bold else set()
    return [
        Cell(None if part is None else mean_share(part[0].shares), bold=place in best, remark=remark)
        for place, (part, remark) in enumerate(zip(figures, remarks, strict=True))
    ]


def _figure(column: ColumnSpec, row: Row) -> tuple[PerImage, int] | None:
    """The column's shares of a row, and their number of draws."""
    if column.value == "worst_case":
        return row.shares, row.draws
    if column.value == "clean":
        return row.clean_shares, row.draws
    if column.attack_class is not None:
        return figure_of(row, [part for part in row.runs if part.attack_class == column.attack_class])
    return figure_of(row, [part for part in row.runs if column.attack in (part.attack, part.attack.partition(" ")[0])])


def _best(figures: Sequence[PerImage | None]) -> set[int]:
    """The best row of a column and all that are not significantly worse (paired, two-sided, Holm over the column)."""
    there = [(place, part) for place, part in enumerate(figures) if part is not None]
    if len(there) < 2:
        return set()
    first, top = max(there, key=lambda item: float(item[1].shares.mean()))
    others = [(place, part) for place, part in there if place != first]
    tests = holm([_paired(part, top) for _, part in others])
    return {first} | {place for (place, _), p in zip(others, tests, strict=True) if p >= LEVEL}


def _paired(part: PerImage, top: PerImage) -> float:
    theirs = top.on(part.ids)
    both = ~np.isnan(theirs)
    return paired_p(part.shares[both], theirs[both])


def _remark(spec: PaperSpec, board: Board, rows: Sequence[Row]) -> str:
    counts = sorted({row.n for row in rows})
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n from {counts[0]} to {counts[-1]}" if counts else "no rows"
    shown = {"pm": "; ±: half of the 95 % interval", "brackets": "; in brackets 95 % intervals", "none": ""}[
        spec.interval
    ]
    bold = "; bold: the best and every row not significantly worse (paired, two-sided, Holm, 5 %)" if spec.bold else ""
    return f"In percent of images, {n}; required: {', '.join(board.required)}{shown}{bold}."
