"""Tables before they have a format: cells with their numbers, rows in groups, notes below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bench.stats.intervals import Interval
from bench.text.brackets import bracketed, rounded


@dataclass(frozen=True)
class Cell:
    """One cell.

    Arguments:
        value: A share or difference of shares with its interval, a number, text, or None for an empty cell.
        bold: Whether it is bold.
        marks: Numbers of the notes that it refers to.
        signed: Whether a plus sign is written, as for differences.
        remark: What else is to be said of the number, in brackets behind it: `n = 100`.
    """

    value: Interval | float | str | None
    bold: bool = False
    marks: tuple[int, ...] = ()
    signed: bool = False
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Arguments:
        title: Heading, or caption.
        columns: Titles of the columns.
        groups: Heading (may be empty) and rows of each group; a row has one cell per column.
        notes: Notes, numbered from 1, that cells refer to.
        remarks: Sentences below the table.
        explained: Sentences on columns by their titles; those of columns that are shown follow the first remarks, in one line.
        hints: What to do next, for people at a terminal.
        label: Label for references in LaTeX.
        decimals: Decimals of percentages.
        interval: `brackets`, `pm` (half the width) or `none`.
    """

    title: str
    columns: list[str]
    groups: list[tuple[str, list[list[Cell]]]]
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    explained: dict[str, str] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    label: str = ""
    decimals: int = 1
    interval: str = "brackets"

    @property
    def rows(self) -> list[list[Cell]]:
        """The rows of all groups."""
        return [row for _, rows in self.groups for row in rows]

    @property
    def sentences(self) -> list[str]:
        """The remarks, with what the columns that are shown mean."""
        meanings = [text for title, text in self.explained.items() if title in self.columns]
        return [*self.remarks, *([f"**How sure**: {' '.join(meanings)}"] if meanings else [])]


def percent(
    value: Interval, decimals: int = 1, interval: str = "brackets", *, signed: bool = False, pm: str = "±"
) -> str:
    """`62.0 [57.7, 66.1]`, `62.0 ± 4.2` or `62.0`, in percent or points."""
    if interval == "brackets":
        return bracketed(value, decimals=decimals, signed=signed)
    main = rounded(100 * value.value, decimals, signed=signed)
    return f"{main} {pm} {50 * (value.high - value.low):.{decimals}f}" if interval == "pm" else main


def plain(value: float | str | None, *, signed: bool = False) -> str:
    """Text unchanged; whole numbers and numbers from 1000 on without decimals; others with four significant digits."""
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:{'+' if signed else ''}{'.0f' if float(value).is_integer() or abs(value) >= 1000 else '.4g'}}"


def p_text(p: float | None) -> str:
    """`.031`, `<.001`; nothing for None."""
    if p is None:
        return ""
    return "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def without_empty(table: Table, keep: Sequence[str] = ()) -> Table:
    """The table without the columns that are empty in all rows."""
    used = [
        place
        for place, title in enumerate(table.columns)
        if title in keep or any(row[place].value not in (None, "") for row in table.rows)
    ]
    return _only(table, used)


def narrowed(table: Table, fits: Callable[[Table], bool], least: Sequence[str]) -> tuple[Table, list[str]]:
    """Drops the named columns, in their order, until the table fits; returns the table and the dropped columns.

    Columns that fit again after wider ones are gone are restored, the most important first.
    """
    left: list[str] = []
    for title in (title for title in least if title in table.columns):
        if fits(_without(table, left)):
            break
        left.append(title)
    for title in reversed(left.copy()):
        if fits(_without(table, [other for other in left if other != title])):
            left.remove(title)
    return _without(table, left), left


def distinct(table: Table, name: str, by: Sequence[str]) -> Table:
    """Makes equal names distinct by the values of other columns: `none (fashion-mnist-at)`."""
    at, places = table.columns.index(name), [table.columns.index(title) for title in by]

    def named(row: list[Cell]) -> list[Cell]:
        twins = [other for other in table.rows if other[at].value == row[at].value]
        values = [str(row[place].value) for place in places if len({twin[place].value for twin in twins}) > 1]
        if not values:
            return row
        return [*row[:at], replace(row[at], value=f"{row[at].value} ({', '.join(values)})"), *row[at + 1 :]]

    return replace(table, groups=[(heading, [named(row) for row in rows]) for heading, rows in table.groups])


def _without(table: Table, titles: Sequence[str]) -> Table:
    return _only(table, [place for place, title in enumerate(table.columns) if title not in titles])


def without_constant(table: Table, titles: Sequence[str]) -> tuple[Table, dict[str, str]]:
    """Drops those of the named columns that are constant over several rows; returns the table and the constant values."""
    rows, constant = table.rows, {}
    for place, title in enumerate(table.columns):
        found = [row[place].value for row in rows]
        values = {plain(value) for value in found if not isinstance(value, Interval)}
        if title in titles and len(rows) > 1 and len(values) == 1:
            constant[title] = values.pop()
    return _without(table, list(constant)), constant


def _only(table: Table, places: Sequence[int]) -> Table:
    groups = [(heading, [[row[place] for place in places] for row in rows]) for heading, rows in table.groups]
    return replace(table, columns=[table.columns[place] for place in places], groups=groups)
