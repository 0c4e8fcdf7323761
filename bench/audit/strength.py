"""How much an audit can exclude: what its images would not show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.audit.finding import PASS

EFFORT = "effort"


def excluded(audit: Mapping[str, Any]) -> tuple[int, float] | None:
    """Images of the check of more effort, and the largest gain of success in [0, 1] that its 95 % intervals allow.

    Arguments:
        audit: The content of `audit.json`.

    Returns:
        None if that check was not made, does not apply, or fired.
    """
    for check in audit["checks"]:
        if check["name"] == EFFORT and check["verdict"] == PASS:
            highs = [high for high in map(_high, _values(check)) if high is not None]
            return (check["n"], max(0.0, *highs)) if highs else None
    return None


def _values(check: Mapping[str, Any]) -> list[Any]:
    values = check.get("values")
    return list(values.values()) if isinstance(values, Mapping) else []


def _high(value: Any) -> float | None:
    """The upper end of a comparison's gain; None for a value that is none: the document may be a stranger's."""
    gain = value.get("gain") if isinstance(value, Mapping) else None
    high = gain.get("high") if isinstance(gain, Mapping) else None
    return high if isinstance(high, float) else None
