"""Tables and boards as comma-separated values; an interval takes three columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.stats.intervals import Interval
from leaderboards.boards import Board
from leaderboards.columns import believed_text
from leaderboards.imported import Imported
from leaderboards.rows import Row
from leaderboards.tables import Table


def boards_as_frame(boards: Iterable[Board]) -> Any:
    """A `pandas.DataFrame` with one line per row of any board; `status` is `ranked`, `incomplete` or `imported`."""
    import pandas

    return pandas.DataFrame([line for board in boards for line in _lines(board)])


def boards_as_csv(boards: Iterable[Board]) -> str:
    """The same as comma-separated values."""
    return boards_as_frame(boards).to_csv(index=False).rstrip("\n")


def table_as_csv(table: Table) -> str:
    """One line per row of a table, with the heading of its group if the table has headings."""
    import pandas

    lines, spread = (
        [],
        [any(isinstance(row[place].value, Interval) for row in table.rows) for place in range(len(table.columns))],
    )
    for heading, rows in table.groups:
        for row in rows:
            line: dict[str, Any] = {"group": heading} if any(head for head, _ in table.groups) else {}
            for title, cell, is_interval in zip(table.columns, row, spread, strict=True):
                value = cell.value if isinstance(cell.value, Interval) else None
                line |= _spread(title, value) if is_interval else {title: cell.value}
                line |= (
                    {f"{title} notes": "; ".join(table.notes[mark - 1] for mark in cell.marks)} if cell.marks else {}
                )
            lines.append(line)
    return pandas.DataFrame(lines).to_csv(index=False).rstrip("\n")


def _lines(board: Board) -> list[dict[str, Any]]:
    imported = [_imported(row, board) for row in board.imported]
    return [
        *(_line(row, "ranked", board) for row in board.rows),
        *(_line(row, "incomplete", board) for row in board.incomplete),
        *imported,
    ]


def _line(row: Row, status: str, board: Board) -> dict[str, Any]:
    return {
        "dataset": row.dataset,
        "threat": row.threat,
        "status": status,
        "rank": row.rank,
        "defense": row.defense,
        "classifier": row.classifier,
        "score_model": row.score_model,
        **_spread("clean", row.clean),
        **{
            key: value
            for kind in board.required
            for key, value in _spread(kind.replace(" ", "_").lower(), row.under.get(kind)).items()
        },
        **_spread("worst_case", row.worst_case),
        **_spread("known_draws", row.under.get("known draws")),
        **_spread("eot", row.eot),
        **_spread("delta_undefended", row.delta_undefended),
        **_spread("delta_null", row.delta_null),
        "p": row.paired_p,
        "score_passes": row.passes,
        "certified_l2": row.certified,
        "n": row.n,
        "draws": row.draws,
        "seeds": len(row.seeds),
        "seed_spread": row.spread,
        "believed": believed_text(row.verdict),
        "flags": "; ".join(row.flags),
        "missing": "; ".join(row.missing),
        "run_ids": " ".join(part.run_id for part in row.runs),
    }


def _imported(row: Imported, board: Board) -> dict[str, Any]:
    return {
        "dataset": board.dataset,
        "threat": board.threat,
        "status": "imported",
        "defense": row.name,
        "clean": row.clean,
        "worst_case": row.robust,
        "flags": "unreliable" if row.unreliable else "",
    }


def _spread(name: str, interval: Interval | None) -> dict[str, Any]:
    values = (None, None, None) if interval is None else (interval.value, interval.low, interval.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
