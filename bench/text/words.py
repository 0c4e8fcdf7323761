"""Numbers with their units, as all commands print them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def percent(interval: dict[str, Any]) -> str:
    """`51.0 % [41.3, 60.6]`."""
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def counted(count: int, noun: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """`42 s`, `3.5 min`, `2.1 h`, `4.0 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (unit == "min" and seconds >= 100):
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def passes_text(passes: Mapping[str, int]) -> str:
    """`12,345 classifier forward · ...`; kinds without passes are left out."""
    return " · ".join(f"{value:,} {kind.replace('_', ' ')}" for kind, value in passes.items() if value)
