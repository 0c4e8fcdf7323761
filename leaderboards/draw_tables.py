"""The tables of stochastic defenses: figures under each rule over draws, and what repeated submissions do."""

from __future__ import annotations

from leaderboards.boards import Board
from leaderboards.draws import FRESH, KNOWN_DRAWS
from leaderboards.rows import Row
from leaderboards.tables import Cell, Table, without_constant, without_empty

RULES = (*FRESH, KNOWN_DRAWS)
TITLES = {"mean": "mean", "worst": "worst of all draws", "majority": "majority", KNOWN_DRAWS: "known draws"}
CONSTANT = ("n", "draws", "classifier", "score model")
RULES_REMARK = (
    "Each beside the same rule on unchanged images (clean). Mean, worst and majority: attacks on fresh draws, which are not those "
    "that are scored; known draws: the mean under attacks on the scored draws. A clean image counts as attacked too."
)
SUBMISSIONS_REMARK = "Accuracy if an image is submitted N times, with fresh draws, and counts as wrong as soon as one submission fails; in percent."


def draw_tables(board: Board) -> list[Table]:
    """Both tables; empty if no row of the board is stochastic."""
    rows = [row for row in board.every if row.draw_figures]
    return [_rules(rows, board.title), *_submissions(rows, board.title)] if rows else []


def _rules(rows: list[Row], heading: str) -> Table:
    columns = [*_names(), *(f"{TITLES[rule]}{part} %" for rule in RULES for part in ("", ", clean"))]
    cells = [
        [*_named(row), *(_cell(row, rule, part) for rule in RULES for part in ("robust", "clean"))] for row in rows
    ]
    return _table(f"{heading}: rules over draws", columns, cells, RULES_REMARK)


def _cell(row: Row, rule: str, part: str) -> Cell:
    return Cell((row.draw_figures or {}).get(rule, {}).get(part))


def _submissions(rows: list[Row], heading: str) -> list[Table]:
    curves = [(row, row.any_fail) for row in rows if row.any_fail]
    most = max((len(curve["robust"]) for _, curve in curves), default=0)
    columns = [*_names(), "images", *(f"N = {count}" for count in range(1, most + 1))]
    cells = [
        [*_named(row), Cell(name), *(_share(curve[part], count) for count in range(most))]
        for row, curve in curves
        for name, part in (("attacked", "robust"), ("clean", "clean"))
    ]
    return [_table(f"{heading}: any of N submissions fails", columns, cells, SUBMISSIONS_REMARK)] if curves else []


def _share(curve: list[float], count: int) -> Cell:
    return Cell(f"{100 * curve[count]:.1f}" if count < len(curve) else None)


def _names() -> list[str]:
    return ["defense", "classifier", "score model", "n", "draws"]


def _named(row: Row) -> list[Cell]:
    return [Cell(value) for value in (row.defense, row.classifier, row.score_model or "-", row.n, row.draws)]


def _table(title: str, columns: list[str], cells: list[list[Cell]], remark: str) -> Table:
    table, constant = without_constant(
        without_empty(Table(title=title, columns=columns, groups=[("", cells)])), CONSTANT
    )
    once = [f"All rows: {'; '.join(f'{name}: {text}' for name, text in constant.items())}."] if constant else []
    return Table(title=table.title, columns=table.columns, groups=table.groups, remarks=[*once, remark])
