"""Aligned columns and folded lines of text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

WIDTH = 80
"""Characters in a line."""
LEAST = 30
"""Characters that a column gets, however little is left of the line."""
WHOLE = re.compile(r"(?<=[0-9]) (?=\[|(?:s|min|h|d)\b)|(?<=[0-9],) (?=[-+.0-9]+\])")
"""Blanks at which no line ends: between a number and its unit or interval, and inside an interval."""


def columns(rows: Sequence[tuple[str, ...]], width: int | None = None) -> str:
    """Rows of text in aligned columns.

    Arguments:
        rows: As many cells each.
        width: Characters of a line, beyond which words of the last column go on below it; None for lines of any length.
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)] if rows else []
    lines = []
    for row in rows:
        lead = "".join(f"{cell:<{size}}  " for cell, size in zip(row, widths, strict=False))
        lines.append(folded(lead, row[-1], width))
    return "\n".join(lines)


def folded(lead: str, text: str, width: int | None = WIDTH) -> str:
    """Text after a lead, its further lines below its first.

    Arguments:
        lead: What the first line begins with.
        text: Words; one that is too long for a line stays whole.
        width: Characters of a line; None for one line of any length.
    """
    if width is None or len(lead) + len(text) <= width:
        return (lead + text).rstrip()
    room = max(width - len(lead), LEAST)
    kept = WHOLE.sub("\N{NO-BREAK SPACE}", text)
    parts = textwrap.wrap(kept, room, break_long_words=False, break_on_hyphens=False)
    return (lead + f"\n{' ' * len(lead)}".join(parts)).replace("\N{NO-BREAK SPACE}", " ").rstrip()
