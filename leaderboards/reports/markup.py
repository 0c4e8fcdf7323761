"""Pieces of HTML: sections, tables, bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.stats.intervals import Interval
from bench.text.brackets import bracketed


@dataclass(frozen=True)
class Markup:
    """Text that is HTML already; other text is escaped."""

    text: str


Cell = str | int | Markup


def html(cell: Cell) -> str:
    """A cell as HTML."""
    return cell.text if isinstance(cell, Markup) else escape(str(cell))


def section(title: str, *content: str, note: str = "") -> str:
    """A section with its heading, and a remark below that."""
    remark = [f'<p class="note">{escape(note)}</p>'] if note else []
    return "\n".join(["<section>", f"<h2>{escape(title)}</h2>", *remark, *content, "</section>"])


def table(name: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table that scrolls by itself where it is too wide; the first cell of a row is its heading.

    Arguments:
        name: What the table holds, for screen readers.
        head: Headings of the columns; none if all are empty.
        rows: The cells.
    """
    titles = "".join(f'<th scope="col">{escape(title)}</th>' if title else "<td></td>" for title in head)
    lines = [
        f'<tr><th scope="row">{html(row[0])}</th>' + "".join(f"<td>{html(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    ]
    top = [f"<thead><tr>{titles}</tr></thead>"] if any(head) else []
    body = "\n".join(["<table>", *top, "<tbody>", *lines, "</tbody></table>"])
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(name)}">{body}</div>'


def share(interval: Interval) -> Markup:
    """A share with its interval, in percent, above a bar of its length."""
    width, low, high = (100 * end for end in (interval.value, interval.low, interval.high))
    ends = f"left:{low:.1f}%;width:{high - low:.1f}%"
    return Markup(
        f'{bracketed(interval)}<span class="bar"><span style="width:{width:.1f}%"></span><i style="{ends}"></i></span>'
    )


def code(text: str) -> Markup:
    """A command or a hash."""
    return Markup(f"<code>{escape(text)}</code>")
