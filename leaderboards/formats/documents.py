"""Boards as JSON: one object per run, with the figures of its row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from bench.stats.intervals import Interval
from leaderboards.boards import Board
from leaderboards.entries import Entry
from leaderboards.imported import Imported
from leaderboards.rows import Row


def documents(boards: Iterable[Board]) -> list[dict[str, Any]]:
    """One object per run and per imported row; keys of the run first, then those of its row."""
    return [
        document
        for board in boards
        for document in [
            *(_of_run(part, row, board) for row in board.every for part in row.runs),
            *(_of_imported(row, board) for row in board.imported),
        ]
    ]


def _of_run(part: Entry, row: Row, board: Board) -> dict[str, Any]:
    others = [other.run_id for other in row.runs if other is not part]
    return {
        "defense": row.defense,
        "attack": part.attack,
        "dataset": row.dataset,
        "threat": row.threat,
        "n": part.n,
        "clean": part.clean.as_dict(),
        "robust": part.robust.as_dict(),
        "worst_case": row.worst_case.as_dict(),
        "believed": part.believed,
        "verdict": part.verdict,
        "flags": part.flags,
        "run_ids": [part.run_id, *others],
        "status": status(row),
        "attack_class": part.attack_class,
        "seed": part.seed,
        "command": part.command,
        "row": row_document(row),
        "board": board_document(board),
    }


def board_document(board: Board) -> dict[str, Any]:
    """What decides the figures of a board: the required classes, the images, and the row of the paired tests."""
    low, high = board.n
    return {
        "title": board.title,
        "required": list(board.required),
        "n": {"low": low, "high": high},
        "ranked": len(board.rows),
        "reference": board.reference,
    }


def row_document(row: Row) -> dict[str, Any]:
    """The figures of a row."""
    return {
        "rank": row.rank,
        "rank_low": row.rank_low,
        "rank_high": row.rank_high,
        "classifier": row.classifier,
        "score_model": row.score_model,
        "deterministic": row.deterministic,
        "draws": row.draws,
        "n": row.n,
        "seeds": row.seeds,
        "clean": row.clean.as_dict(),
        "under": {kind: interval.as_dict() for kind, interval in row.under.items()},
        "elsewhere": {kind: other.as_dict() for kind, other in row.elsewhere.items()},
        "eot": _or_none(row.eot),
        "worst_case": row.worst_case.as_dict(),
        "shared": _or_none(row.shared),
        "seed_spread": row.spread,
        "worst_seed": row.worst_seed.as_dict(),
        "draw_figures": draw_document(row),
        "any_fail": row.any_fail,
        "delta_undefended": _or_none(row.delta_undefended),
        "delta_null": row.delta_null.as_dict(),
        "p": row.paired_p,
        "p_n": row.paired_n,
        "score_passes": row.passes,
        "certified": row.certified,
        "believed": row.believed,
        "verdict": row.verdict,
        "flags": row.flags,
        "missing": row.missing,
        "commands": row.commands,
        "counted": row.counted,
        "source": None if row.source is None else asdict(row.source),
    }


def draw_document(row: Row) -> dict[str, Any] | None:
    """The figures of a row under each rule over draws; None for a deterministic defense."""
    if row.draw_figures is None:
        return None
    return {
        rule: {part: interval.as_dict() for part, interval in pair.items()} for rule, pair in row.draw_figures.items()
    }


def status(row: Row) -> str:
    """`ranked` or `incomplete`."""
    return "incomplete" if row.missing else "ranked"


def _of_imported(row: Imported, board: Board) -> dict[str, Any]:
    return {
        "defense": row.name,
        "attack": None,
        "dataset": board.dataset,
        "threat": board.threat,
        "n": None,
        "clean": row.clean,
        "robust": row.robust,
        "worst_case": row.robust,
        "believed": None,
        "verdict": None,
        "flags": ["imported", *(["unreliable"] if row.unreliable else [])],
        "run_ids": [],
        "status": "imported",
        "imported": asdict(row),
        "board": board_document(board),
    }


def _or_none(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else interval.as_dict()
