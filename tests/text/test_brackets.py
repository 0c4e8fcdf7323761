"""Figures with their intervals, as text."""

import pytest

from bench.stats.intervals import Interval
from bench.text.brackets import bracketed, rounded


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.03125, -0.052, 0.11, "+3.1 [-5.2, +11.0]"),
        (0.0, -0.058, 0.058, "0.0 [-5.8, +5.8]"),
        (-0.0001, -0.1, 0.1, "0.0 [-10.0, +10.0]"),
        (-0.125, -0.2, -0.0, "-12.5 [-20.0, 0.0]"),
    ],
)
def test_a_difference_has_signs_but_for_zero(value, low, high, text):
    assert bracketed(Interval(value, low, high, 0, 32, "agresti-min"), signed=True) == text


def test_a_share_has_none():
    share = Interval(0.62, 0.577, 0.661, 31, 50, "wilson")
    assert bracketed(share) == "62.0 [57.7, 66.1]"
    assert bracketed(share, decimals=0) == "62 [58, 66]"
    assert rounded(-0.04, 1) == "0.0"
