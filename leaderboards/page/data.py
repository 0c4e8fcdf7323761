"""The data of the page's script: boards as short lists of numbers, and each run once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.audit.document import read_audit
from bench.errors import UserError
from bench.records.header import read_header
from bench.stats.intervals import Interval
from bench.threat import ThreatModel
from leaderboards.boards import Board
from leaderboards.classes import KNOWN, REQUIRED
from leaderboards.curves import Curve, curves
from leaderboards.entries import Entry
from leaderboards.formats.documents import status
from leaderboards.page.pictures import Pictures
from leaderboards.rows import Row

DIGITS = 9
"""Digits of shares; with fewer, rounding twice could give another last digit than in the tables."""


def page_data(boards: Sequence[Board], pictures: Pictures) -> dict[str, Any]:
    """All data of the page.

    Arguments:
        boards: The boards to show.
        pictures: Makes the pictures of runs that store images.
    """
    rows: list[dict[str, Any]] = []
    runs: dict[str, dict[str, Any]] = {}
    for number, board in enumerate(boards):
        for row in board.every:
            runs |= {part.run_id: _run(part, len(rows), pictures) for part in row.runs}
            rows.append(_row(row, number))
    return {
        "boards": [_board(board) for board in boards],
        "curves": [_curve(curve) for curve in curves(boards)],
        "rows": rows,
        "runs": runs,
        "classes": list(REQUIRED),
        "images": pictures.shared,
        "names": pictures.names,
        "purified": pictures.purifier is not None,
    }


def interval(value: Interval | None) -> list[float] | None:
    """Value, low and high, rounded."""
    return None if value is None else [round(part, DIGITS) for part in (value.value, value.low, value.high)]


def _board(board: Board) -> dict[str, Any]:
    threat = ThreatModel.parse(board.threat)
    return {
        "dataset": board.dataset,
        "threat": board.threat,
        "norm": threat.norm,
        "eps": threat.radius,
        "reference": board.reference,
        "required": list(board.required),
        "title": board.title,
        "n": list(board.n),
        "imported": [asdict(row) for row in board.imported],
    }


def _row(row: Row, board: int) -> dict[str, Any]:
    return {
        "board": board,
        "status": status(row),
        "rank": row.rank,
        "rank_low": row.rank_low,
        "rank_high": row.rank_high,
        "defense": row.defense,
        "classifier": row.classifier,
        "score": row.score_model,
        "kind": "deterministic" if row.deterministic else "stochastic",
        "draws": row.draws,
        "n": row.n,
        "seeds": len(row.seeds),
        "clean": interval(row.clean),
        "under": {kind: interval(part) for kind, part in row.under.items()},
        "elsewhere": {
            kind: {"share": interval(other.accuracy), "n": other.accuracy.n, "draws": other.draws}
            for kind, other in row.elsewhere.items()
        },
        "known": interval(row.under.get(KNOWN)),
        "eot": interval(row.eot),
        "worst": interval(row.worst_case),
        "shared": interval(row.shared),
        "draw_figures": _draws(row),
        "any_fail": row.any_fail
        and {part: [round(share, DIGITS) for share in curve] for part, curve in row.any_fail.items()},
        "spread": round(row.spread, DIGITS),
        "undefended": interval(row.delta_undefended),
        "null": interval(row.delta_null),
        "p": None if row.paired_p is None else float(f"{row.paired_p:.6g}"),
        "p_n": row.paired_n,
        "passes": row.passes,
        "certified": row.certified,
        "verdict": row.verdict,
        "flags": row.flags,
        "missing": row.missing,
        "commands": row.commands,
        "runs": [part.run_id for part in row.runs],
        "counted": row.counted,
        "source": None if row.source is None else asdict(row.source),
    }


def _draws(row: Row) -> dict[str, Any] | None:
    if row.draw_figures is None:
        return None
    return {rule: {part: interval(share) for part, share in pair.items()} for rule, pair in row.draw_figures.items()}


def _curve(curve: Curve) -> dict[str, Any]:
    """A security curve; `points` are threat (none at radius 0), radius in pixel units, and the accuracy with its interval."""
    parts = {key: getattr(curve, key) for key in ("dataset", "norm", "defense", "classifier", "draws", "n")}
    points = [{"threat": threat, "eps": radius, "share": interval(share)} for threat, radius, share in curve.points]
    return parts | {"score": curve.score_model, "points": points}


def _audit(part: Entry) -> dict[str, Any] | None:
    """The findings of the run's audit, check by check; None without a readable audit."""
    try:
        found = read_audit(Path(part.path))
    except UserError:
        return None
    if found is None:
        return None
    keys = ("name", "verdict", "meaning", "threshold", "command", "n", "size")
    return {
        "verdict": found.get("verdict"),
        "n": found.get("n"),
        "size": found.get("size"),
        "checks": [{key: check.get(key) for key in keys} for check in found["checks"]],
    }


def _run(part: Entry, row: int, pictures: Pictures) -> dict[str, Any]:
    header = read_header(Path(part.path)).document
    return {
        "row": row,
        "attack": part.attack,
        "class": part.attack_class,
        "n": part.n,
        "draws": part.draws,
        "seed": part.seed,
        "clean": interval(part.clean),
        "robust": interval(part.robust),
        "verdict": part.verdict,
        "audit": _audit(part),
        "flags": part.flags,
        "passes": round(part.passes, 6),
        "command": part.command,
        "spec": header["spec"],
        "checks": header["checks"],
        "notes": header.get("notes", []),
        "environments": list(header["environments"].values()),
        "pictures": pictures.of_run(part),
    }
