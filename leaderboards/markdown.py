"""Boards as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from tabulate import tabulate

from bench.stats import Interval
from leaderboards.rows import Board, Row

COLUMNS = ("defense", "attack", "n", "clean %", "robust %", "worst case %", "p", "flags", "run")
CERTIFIED = "certified l2"


def as_markdown(boards: Iterable[Board]) -> str:
    """One table per board, each number with its 95 % interval."""
    return "\n\n".join(_board(board) for board in boards)


def _board(board: Board) -> str:
    title = f"### {board.dataset}, {board.threat}"
    certified = any(row.certified is not None for row in board.rows)
    columns = (*COLUMNS, CERTIFIED) if certified else COLUMNS
    cells = [_cells(row) + ((_radius(row),) if certified else ()) for row in board.rows]
    table = tabulate(cells, headers=columns, tablefmt="github", disable_numparse=True)
    note = (
        f"95 % intervals in brackets. p: two-sided paired test of the worst case against **{board.reference}** on the same images, "
        "Holm-corrected. Rows whose intervals overlap are not ranked apart unless p says so."
    )
    return f"{title}\n\n{table}\n\n{note}"


def _cells(row: Row) -> tuple[str, ...]:
    p = (
        ""
        if row.paired_p is None
        else "<.001"
        if row.paired_p < 0.001
        else f"{row.paired_p:.3f}".lstrip("0")
        if row.paired_p < 1
        else "1"
    )
    return (
        row.defense, row.attack, str(row.n), _interval(row.clean), _interval(row.robust), _interval(row.worst_case),
        p, ", ".join(row.flags), f"`{row.run_ids[0]}`",
    )  # fmt: skip


def _radius(row: Row) -> str:
    return "" if row.certified is None else f"{row.certified:.3f}"


def _interval(interval: Interval) -> str:
    return f"{100 * interval.value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
