"""The rows that a spec names, and names that distinguish them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import UserError
from bench.records.spec import UNDEFENDED
from bench.registry.registry import suggest
from leaderboards.papers.spec import RowSpec
from leaderboards.rows import Row

Named = tuple[str | None, Row]
"""A row, and its title in the spec; None for the board's name."""


def named_rows(wanted: Sequence[RowSpec], rows: Sequence[Row], board: str) -> list[tuple[RowSpec, list[Row]]]:
    """The rows that each part of a spec names.

    Arguments:
        wanted: The parts.
        rows: The rows to choose from.
        board: Where they are, for the error.

    Raises:
        UserError: A part names none of the rows.
    """
    found = [(part, [row for row in rows if fits(row, part)]) for part in wanted]
    for part, its_rows in found:
        if not its_rows:
            names = list(dict.fromkeys(row.defense for row in rows))
            close = suggest(part.defense, names)
            raise UserError("table-row-unknown", defense=part.defense, board=board, names=names, close=close)
    return found


def top_rows(ranked: Sequence[Row], most: int) -> list[Row]:
    """The first rows, the undefended ones of the same classifiers among them.

    Arguments:
        ranked: The rows, best first.
        most: Number of rows.
    """
    classifiers = {row.classifier for row in ranked[:most]}
    undefended = [row for row in ranked if row.name == UNDEFENDED and row.classifier in classifiers][:most]
    others = [row for row in ranked if row not in undefended][: most - len(undefended)]
    return [row for row in ranked if row in undefended or row in others]


def distinct_names(chosen: Sequence[Named]) -> list[str]:
    """A name for each row; equal names get the classifier, score model or draws in which the rows differ."""
    keys = [
        (title or row.defense, row.classifier, row.score_model or "no score model", f"{row.draws} draws")
        for title, row in chosen
    ]
    return [_distinct(key, keys) for key in keys]


def _distinct(key: tuple[str, ...], keys: Sequence[tuple[str, ...]]) -> str:
    same = [other for other in keys if other[0] == key[0]]
    parts = [part for place, part in enumerate(key) if place and len({other[place] for other in same}) > 1]
    return f"{key[0]} ({', '.join(parts)})" if parts else key[0]


def fits(row: Row, part: RowSpec) -> bool:
    """Whether a part of a spec names a row."""
    named = row.defense == part.defense or (bool(part.arguments) and row.name == part.defense)
    return named and all(row.arguments.get(key) == value for key, value in part.arguments.items())
