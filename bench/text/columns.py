"""Aligned columns and wrapped lines of text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

WIDTH = 80
"""Characters per line."""
LEAST = 30
"""Smallest width of a column."""
WHOLE = re.compile(r"(?<=[0-9]) (?=\[|(?:s|min|h|d)\b)|(?<=[0-9],) (?=[-+.0-9]+\])")
"""Spaces at which lines do not break: between a number and its unit or interval, and inside an interval."""


def columns(rows: Sequence[tuple[str, ...]], width: int | None = None) -> str:
    """Rows of text in aligned columns.

    Arguments:
        rows: Rows of cells, of equal length.
        width: Characters per line; the last column is wrapped to fit. None for lines of any length.
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)] if rows else []
    lines = []
    for row in rows:
        lead = "".join(f"{cell:<{size}}  " for cell, size in zip(row, widths, strict=False))
        lines.append(folded(lead, row[-1], width))
    return "\n".join(lines)


def folded(lead: str, text: str, width: int | None = WIDTH) -> str:
    """Text after a lead, wrapped with a hanging indent.

    Arguments:
        lead: The beginning of the first line.
        text: The text; words are never broken.
        width: Characters per line; None for a single line.
    """
    if width is None or len(lead) + len(text) <= width:
        return (lead + text).rstrip()
    room = max(width - len(lead), LEAST)
    kept = WHOLE.sub("\N{NO-BREAK SPACE}", text)
    parts = textwrap.wrap(kept, room, break_long_words=False, break_on_hyphens=False)
    return (lead + f"\n{' ' * len(lead)}".join(parts)).replace("\N{NO-BREAK SPACE}", " ").rstrip()
