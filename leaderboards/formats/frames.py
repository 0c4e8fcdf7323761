"""Tables and boards as comma-separated values; an interval takes three columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.stats.intervals import Interval
from leaderboards.boards import Board
from leaderboards.classes import KNOWN
from leaderboards.columns import believed_text
from leaderboards.draws import FRESH, KNOWN_DRAWS
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
                line |= {f"{title} remark": cell.remark} if cell.remark else {}
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
        "rank_low": row.rank_low,
        "rank_high": row.rank_high,
        "defense": row.defense,
        "classifier": row.classifier,
        "score_model": row.score_model,
        **_spread("clean", row.clean),
        **{
            key: value
            for kind in board.required
            for key, value in _class(kind.replace(" ", "_").lower(), kind, row).items()
        },
        **_spread("worst_case", row.worst_case),
        **_spread("shared", row.shared),
        **_class("known_draws", KNOWN, row),
        **_spread("eot", row.eot),
        **_spread("delta_undefended", row.delta_undefended),
        **_spread("delta_null", row.delta_null),
        "p": row.paired_p,
        "p_n": row.paired_n,
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
        "counted": " ".join(row.counted),
        "board": board.title,
        "required": "; ".join(board.required),
        **_draws(row),
        **_source(row),
    }


def _class(name: str, kind: str, row: Row) -> dict[str, Any]:
    """The accuracy under a class, its images and its draws, which may be others than the row's."""
    other, own = row.elsewhere.get(kind), row.under.get(kind)
    accuracy = other.accuracy if other else own
    images, draws = (accuracy.n, other.draws if other else row.draws) if accuracy else (None, None)
    return _spread(name, accuracy) | {f"{name}_n": images, f"{name}_draws": draws}


def _draws(row: Row) -> dict[str, Any]:
    """The figures under each rule over draws, and the accuracies if one of N = 1, 2, ... submissions fails."""
    figures, curves = row.draw_figures or {}, row.any_fail or {}
    return {
        key: value
        for rule in (*FRESH, KNOWN_DRAWS)
        for part in ("clean", "robust")
        for key, value in _spread(f"{rule}_{part}", figures.get(rule, {}).get(part)).items()
    } | {f"any_fail_{part}": " ".join(f"{share:.6f}" for share in curves.get(part, [])) for part in ("clean", "robust")}


def _source(row: Row) -> dict[str, Any]:
    fields = ("title", "authors", "year", "url", "venue", "code")
    return {f"source_{name}": getattr(row.source, name) if row.source else None for name in fields}


def _imported(row: Imported, board: Board) -> dict[str, Any]:
    return {
        "dataset": board.dataset,
        "threat": board.threat,
        "status": "imported",
        "board": board.title,
        "defense": row.name,
        "clean": row.clean,
        "worst_case": row.robust,
        "flags": "unreliable" if row.unreliable else "",
    }


def _spread(name: str, interval: Interval | None) -> dict[str, Any]:
    values = (None, None, None) if interval is None else (interval.value, interval.low, interval.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
