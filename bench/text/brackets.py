"""Shares and differences of shares with their intervals, in percent or points."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.stats.intervals import Interval


def bracketed(interval: Interval, *, decimals: int = 1, signed: bool = False) -> str:
    """`62.0 [57.7, 66.1]`, or with signs `+3.1 [-5.2, +11.0]`; in percent.

    Arguments:
        interval: A share, or a difference of two.
        decimals: Digits after the point.
        signed: Whether positive numbers get a sign, as differences do.
    """
    value, low, high = (
        rounded(100 * end, decimals, signed=signed) for end in (interval.value, interval.low, interval.high)
    )
    return f"{value} [{low}, {high}]"


def rounded(number: float, decimals: int, *, signed: bool = False) -> str:
    """A rounded number; zero has no sign."""
    text = f"{number:{'+' if signed else ''}.{decimals}f}"
    return text.lstrip("+-") if not float(text) else text
