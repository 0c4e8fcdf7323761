"""Tables as Markdown."""

from __future__ import annotations

import textwrap
from dataclasses import replace

from tabulate import tabulate

from bench.stats.intervals import Interval
from leaderboards.columns import DISTINGUISHING, LEAST
from leaderboards.tables import Cell, Table, distinct, narrowed, percent, plain

SIGNS = "†‡§¶‖"


def as_markdown(table: Table, *, hints: bool = False, width: int | None = None) -> str:
    """A heading, the table, its notes and its remarks.

    Arguments:
        table: The table.
        hints: Whether what to do next stands below.
        width: Most characters in a line of the remarks; None for one line each.
    """
    body = _body(table)
    notes = [f"{sign(number)} {note}" for number, note in enumerate(table.notes, start=1)]
    below = ["  \n".join(notes)] if notes else []
    remarks = [_wrapped(text, width) for text in (*table.sentences, *(table.hints if hints else []))]
    return "\n\n".join([f"### {table.title}", body, *below, *remarks])


def _wrapped(text: str, width: int | None) -> str:
    if width is None or text.startswith("```"):
        return text
    return "\n".join(textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False))


def fitted(table: Table, width: int) -> Table:
    """Drops columns that do not fit, least important first; names stay distinct by the values of dropped columns."""

    def fits(part: Table) -> bool:
        return max(map(len, _body(part).splitlines())) <= width

    made, left = narrowed(table, fits, LEAST)
    gone = [title for title in DISTINGUISHING if title in left]
    if gone:
        made, left = narrowed(distinct(table, "defense", gone), fits, LEAST)
    remark = (
        [f"Not shown in {width} characters: {', '.join(left)}. A larger --width, or a file, has them."] if left else []
    )
    return replace(made, remarks=[*remark, *made.remarks])


def _body(table: Table) -> str:
    rows = [line for heading, group in table.groups for line in _group(heading, group, table)]
    return tabulate(rows, headers=table.columns, tablefmt="github", disable_numparse=True)


def sign(number: int) -> str:
    """The sign of a note: daggers first."""
    return SIGNS[number - 1] if number <= len(SIGNS) else f"({number})"


def _group(heading: str, rows: list[list[Cell]], table: Table) -> list[list[str]]:
    head = [[f"*{heading}*", *[""] * (len(table.columns) - 1)]] if heading else []
    return head + [[_cell(cell, table) for cell in row] for row in rows]


def _cell(cell: Cell, table: Table) -> str:
    value = cell.value
    if isinstance(value, Interval):
        text = percent(value, table.decimals, table.interval, signed=cell.signed)
    else:
        text = plain(value, signed=cell.signed).replace("|", "\\|")
    text += f" ({cell.remark})" if cell.remark and text else ""
    return (f"**{text}**" if cell.bold and text else text) + "".join(map(sign, cell.marks))
