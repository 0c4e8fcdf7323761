"""The data of the page: boards, the JSON documents of their rows, and each run once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.audit.document import read_audit
from bench.audit.strength import PASSED
from bench.errors import UserError
from bench.records.header import read_header
from bench.threat import ThreatModel
from leaderboards import assembly
from leaderboards.boards import Board
from leaderboards.classes import REQUIRED
from leaderboards.curves import Curve, curves
from leaderboards.entries import BELIEVED, Entry
from leaderboards.formats.documents import board_document, row_document, status
from leaderboards.page.evidence import Evidences
from leaderboards.page.outcomes import Outcomes, short
from leaderboards.rows import Row


def page_data(boards: Sequence[Board], evidences: Evidences) -> dict[str, Any]:
    """All data of the page.

    Arguments:
        boards: The boards to show.
        evidences: Collects the stored images of the runs.
    """
    outcomes = [Outcomes(board) for board in boards]
    place = {id(row): place for place, row in enumerate(row for board in boards for row in board.every)}
    parts = {part.run_id: part for board in boards for row in board.every for part in row.runs}
    return {
        "boards": [_board(board) | images.of_board() for board, images in zip(boards, outcomes, strict=True)],
        "curves": [[_rounded(point) for point in _points(curve, place)] for curve in curves(boards)],
        "rows": [
            _rounded(_row(row, number)) | images.of_row(row)
            for number, (board, images) in enumerate(zip(boards, outcomes, strict=True))
            for row in board.every
        ],
        "runs": {run_id: _run(part, evidences) for run_id, part in parts.items()},
        "classes": list(REQUIRED),
        "least": assembly.FEW,
        "datasets": evidences.datasets(),
        "purified": evidences.purifier is not None,
    }


def badge(verdict: str | None, audited: str) -> str:
    """What an audit found, with its size, as `passed quick audit (32 images)`.

    Arguments:
        verdict: The verdict of a run or of a row.
        audited: The extent of the audit, as `quick, 32 images`; empty if unknown.
    """
    if verdict is None:
        return "not audited"
    size, _, images = audited.partition(", ")
    word = "passed" if verdict in (BELIEVED, PASSED) else f"{verdict}:"
    return " ".join(filter(None, (word, size, "audit", images and f"({images})")))


def _board(board: Board) -> dict[str, Any]:
    threat = ThreatModel.parse(board.threat)
    return {
        "dataset": board.dataset,
        "threat": board.threat,
        "norm": threat.norm,
        "eps": threat.radius,
        **board_document(board),
        "imported": [asdict(row) for row in board.imported],
    }


def _row(row: Row, board: int) -> dict[str, Any]:
    audited = (part.audited for part in row.runs if part.verdict == row.verdict and part.audited)
    return {
        "board": board,
        "status": status(row),
        "defense": row.defense,
        **row_document(row),
        "badge": badge(row.verdict, next(audited, "")),
        "runs": [part.run_id for part in row.runs],
    }


def _points(curve: Curve, place: dict[int, int]) -> list[dict[str, Any]]:
    """A security curve: at each radius the number of its row (at 0 of the first), the radius in pixel units, and the accuracy."""
    rows = [place[id(row)] for row in (curve.rows[0], *curve.rows)]
    return [
        {"row": row, "eps": radius, **share.as_dict()}
        for row, (_, radius, share) in zip(rows, curve.points, strict=True)
    ]


def _run(part: Entry, evidences: Evidences) -> dict[str, Any]:
    header = read_header(Path(part.path)).document
    return {
        "attack": part.attack,
        "class": part.attack_class,
        "n": part.n,
        "draws": part.draws,
        "seed": part.seed,
        "clean": _rounded(part.clean.as_dict()),
        "robust": _rounded(part.robust.as_dict()),
        "verdict": part.verdict,
        "badge": badge(part.verdict, part.audited),
        "audit": _audit(part),
        "flags": part.flags,
        "passes": _rounded(part.passes),
        "command": part.command,
        "spec": header["spec"],
        "checks": _checks(header["checks"]),
        "notes": header.get("notes", []),
        "environments": list(header["environments"].values()),
        "evidence": evidences.of_run(part),
    }


def _checks(checks: dict[str, Any]) -> dict[str, Any]:
    """The checks before the run: figures, the number of claims that passed, and those that did not."""
    figures = {key: value for key, value in checks.items() if key != "claims"}
    claims = checks.get("claims", [])
    others = [claim for claim in claims if claim["verdict"] != "passed"]
    return {"figures": figures, "passed": len(claims) - len(others), "others": others}


def _audit(part: Entry) -> list[dict[str, Any]] | None:
    """The findings of the run's audit, check by check; None without a readable audit."""
    try:
        found = read_audit(Path(part.path))
    except UserError:
        return None
    keys = ("name", "verdict", "meaning", "command")
    return [{key: check.get(key) for key in keys} for check in found["checks"]] if found else None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return short(value) if isinstance(value, float) else value
