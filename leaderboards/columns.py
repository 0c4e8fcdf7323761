"""The columns of a board, and the tables that show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from leaderboards.boards import Board
from leaderboards.classes import KNOWN, REQUIRED
from leaderboards.draw_tables import draw_tables
from leaderboards.entries import BELIEVED, UNCHECKED
from leaderboards.formats import remarks
from leaderboards.rows import Row
from leaderboards.tables import Cell, Table, p_text, without_constant, without_empty

Column = tuple[str, Callable[[Row], Cell]]
CONSTANT = ("classifier", "score model", "n", "seeds", "draws")
LEAST = (
    "score passes",
    "certified l2",
    "draws",
    "seeds",
    "± seeds",
    "Δ null attack",
    "Δ undefended",
    "class",
    "score model",
    "classifier",
    "transfer %",
    "black box %",
    "EOT %",
    "known draws %",
    "AutoAttack %",
    "full gradient %",
    "p",
    "missing",
    "shared images %",
    "believed",
    "n",
    "flags",
    "rank 95 %",
    "clean %",
)
"""Columns in the order in which a narrow terminal drops them."""
DISTINGUISHING = ("classifier", "score model")
"""Columns that distinguish rows of the same defense."""
TITLES = {kind: f"{kind} %" for kind in REQUIRED}


def believed_text(verdict: str | None) -> str:
    """`yes`, `passed` (too few images to be believed), `suspect`, `refuted`, or `unchecked` without an audit."""
    return {None: UNCHECKED, BELIEVED: "yes"}.get(verdict, str(verdict))


def rank_text(row: Row) -> str:
    """The ranks that tests leave open: `2-7`, or `1`; nothing for a row without a rank."""
    if row.rank_low is None:
        return ""
    return f"{row.rank_low}" if row.rank_low == row.rank_high else f"{row.rank_low}-{row.rank_high}"


def columns(board: Board) -> list[Column]:
    """All columns of a board, in order."""
    return [
        ("rank", lambda row: Cell(row.rank)),
        ("rank 95 %", lambda row: Cell(rank_text(row))),
        ("defense", lambda row: Cell(row.defense)),
        ("classifier", lambda row: Cell(row.classifier)),
        ("score model", lambda row: Cell(row.score_model or "-")),
        ("clean %", lambda row: Cell(row.clean)),
        *((TITLES[kind], _under(kind)) for kind in board.required),
        ("worst case %", lambda row: Cell(row.worst_case)),
        ("shared images %", lambda row: Cell(row.shared)),
        (f"{KNOWN} %", _under(KNOWN)),
        ("EOT %", lambda row: Cell(row.eot)),
        ("Δ undefended", _undefended),
        ("Δ null attack", lambda row: Cell(row.delta_null, signed=True)),
        ("p", lambda row: Cell(p_text(row.paired_p), remark=row.remark(row.paired_n))),
        ("score passes", lambda row: Cell(row.passes)),
        ("certified l2", lambda row: Cell(None if row.certified is None else f"{row.certified:.3f}")),
        ("n", lambda row: Cell(row.n)),
        ("draws", lambda row: Cell(row.draws)),
        ("seeds", lambda row: Cell(len(row.seeds))),
        ("± seeds", lambda row: Cell(100 * row.spread if len(row.seeds) > 1 else None)),
        ("believed", lambda row: Cell(believed_text(row.verdict))),
        ("flags", lambda row: Cell(", ".join(row.flags))),
        ("missing", lambda row: Cell(", ".join(row.missing))),
    ]


def tables(board: Board, *, runs: bool = False, commands: bool = False) -> list[Table]:
    """The tables of ranked, incomplete and imported rows; empty tables are omitted.

    Arguments:
        board: The board.
        runs: Whether tables of draws and of the runs follow.
        commands: Whether the commands to run next stand below the rows.
    """
    heading = f"{board.dataset}, {board.threat}"
    made = [_ranked(board)] if board.rows else []
    made += [_incomplete(board)] if board.incomplete else []
    if made:
        below = remarks.commands(board) if commands else []
        made[-1] = replace(made[-1], remarks=[*made[-1].remarks, *below], hints=[remarks.following(board)])
    made += [_imported(board, heading)] if board.imported else []
    return made + ([*draw_tables(board), _runs(board, heading)] if board.every and runs else [])


def _under(kind: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        other = row.elsewhere.get(kind)
        if other is None:
            return Cell(row.under.get(kind))
        return Cell(other.accuracy, remark=row.remark(other.accuracy.n, other.draws))

    return cell


def _undefended(row: Row) -> Cell:
    delta = row.delta_undefended
    return Cell(delta, signed=True, remark=row.remark(delta.n if delta else None))


def _ranked(board: Board) -> Table:
    table, constant = _of_rows(board, board.title, board.rows)
    return _claimed(table, constant, board, board.rows)


def _incomplete(board: Board) -> Table:
    title = f"{board.title}: incomplete" if board.rows else board.title
    table, constant = _of_rows(board, title, board.incomplete)
    if board.rows:
        return replace(table, remarks=[*remarks.constant(constant), remarks.unranked(board)])
    table = _claimed(table, constant, board, board.incomplete)
    return replace(table, remarks=[*table.remarks, remarks.unranked(board)])


def _claimed(table: Table, constant: dict[str, str], board: Board, rows: Sequence[Row]) -> Table:
    return replace(table, remarks=[*remarks.constant(constant), remarks.CLAIMED], explained=remarks.sure(board, rows))


def _of_rows(board: Board, title: str, rows: Sequence[Row]) -> tuple[Table, dict[str, str]]:
    parts = columns(board)
    cells = [[cell(row) for _, cell in parts] for row in rows]
    table = without_empty(Table(title=title, columns=[name for name, _ in parts], groups=[("", cells)]))
    return without_constant(table, CONSTANT)


def _imported(board: Board, heading: str) -> Table:
    cells = [
        [
            Cell(row.name),
            Cell(None if row.clean is None else f"{100 * row.clean:.2f}"),
            Cell(f"{100 * row.robust:.2f}"),
            Cell(row.source),
            Cell("unreliable" if row.unreliable else ""),
            Cell(row.link),
        ]
        for row in board.imported
    ]
    names = ["defense", "clean %", "robust %", "imported from", "flags", "link"]
    remark = "Imported as published, by other protocols and on other images; never ranked with the rows above."
    return without_empty(
        Table(title=f"{heading}: imported for reference", columns=names, groups=[("", cells)], remarks=[remark])
    )


def _runs(board: Board, heading: str) -> Table:
    names = ["defense", "attack", "class", "n", "clean %", "robust %", "seed", "flags", "run"]
    cells = [
        [
            Cell(row.defense),
            Cell(part.attack),
            Cell(part.attack_class),
            Cell(part.n),
            Cell(part.clean),
            Cell(part.robust),
            Cell(part.seed),
            Cell(", ".join(part.flags)),
            Cell(f"`{part.run_id}`"),
        ]
        for row in board.every
        for part in row.runs
    ]
    table = Table(title=f"{heading}: runs", columns=names, groups=[("", cells)])
    table, constant = without_constant(table, ("n", "seed"))
    once = [f"All runs: {'; '.join(f'{title} {text}' for title, text in constant.items())}."] if constant else []
    return Table(title=table.title, columns=table.columns, groups=table.groups, remarks=once)
