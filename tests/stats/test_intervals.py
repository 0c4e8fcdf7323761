"""Intervals and tests against closed forms and published values."""

import math

import numpy as np
import pytest

from bench.stats.intervals import Interval, mean_difference, mean_share, proportion
from bench.stats.paired import holm, paired_p

Z = 1.959963984540054


@pytest.mark.parametrize(("successes", "n"), [(51, 100), (1, 10), (9_999, 10_000)])
def test_wilson(successes, n):
    p, interval = successes / n, proportion(successes, n)
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    assert (interval.value, interval.successes, interval.n, interval.method) == (p, successes, n, "wilson")
    assert (interval.low, interval.high) == pytest.approx((centre - half, centre + half), abs=1e-12)


def test_wilson_as_published():
    """Newcombe, 1998, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I: 81 of 263."""
    interval = proportion(81, 263)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)


def test_clopper_pearson_at_the_ends():
    """Nothing of 512: the upper end solves `(1 - p)^512 = 0.025`."""
    nothing, everything = proportion(0, 512), proportion(512, 512)
    upper = 1 - 0.025 ** (1 / 512)
    assert round(upper, 4) == 0.0072
    assert (nothing.low, nothing.high, nothing.method) == (0, pytest.approx(upper), "clopper-pearson")
    assert (everything.low, everything.high) == (pytest.approx(1 - upper), 1)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_proportions_that_are_none(successes, n):
    with pytest.raises(ValueError, match="must"):
        proportion(successes, n)


def test_interval_as_json():
    assert Interval(0.5, 0.1, 0.9, 1, 2, "wilson").as_dict() == {
        "value": 0.5, "low": 0.1, "high": 0.9, "successes": 1, "n": 2, "method": "wilson",
    }  # fmt: skip


def test_shares_of_zero_and_one_are_a_proportion():
    assert mean_share(np.array([1.0, 0.0, 1.0, 1.0])) == proportion(3, 4)


def test_bootstrap_is_reproducible_and_near_the_normal_interval():
    shares = np.arange(400) % 11 / 10
    interval = mean_share(shares)
    half = Z * shares.std() / math.sqrt(len(shares))
    assert interval == mean_share(shares)
    assert (interval.method, interval.value) == ("bootstrap", pytest.approx(shares.mean()))
    assert (interval.low, interval.high) == pytest.approx((shares.mean() - half, shares.mean() + half), abs=0.1 * half)


def test_mcnemar_is_the_exact_binomial_test():
    """Seven discordant images, all one way: one-sided 1/128, two-sided 1/64."""
    a = np.array([1.0] * 7 + [1.0] * 20 + [0.0] * 10)
    b = np.array([0.0] * 7 + [1.0] * 20 + [0.0] * 10)
    assert paired_p(a, b) == pytest.approx(0.015625)
    assert paired_p(b, a) == pytest.approx(0.015625)


def test_mcnemar_both_ways():
    """Six against two of eight: `2 (C(8,0) + C(8,1) + C(8,2)) / 2^8`."""
    a, b = np.array([1.0] * 6 + [0.0] * 2), np.array([0.0] * 6 + [1.0] * 2)
    assert paired_p(a, b) == pytest.approx(2 * (1 + 8 + 28) / 256)


def test_no_difference_is_no_evidence():
    assert paired_p(np.array([0.5, 1.0]), np.array([0.5, 1.0])) == 1


def test_signed_ranks_of_shares():
    """Five differences of one sign: the exact two-sided p-value is `2 / 2^5`."""
    b = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.9])
    a = b + np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.0])
    assert paired_p(a, b) == pytest.approx(2 / 32)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stops_at_one():
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@pytest.mark.parametrize("shares", [[0.5] * 8, [0.25, 0.5, 0.75, 0.0], [1.0, 0.0, 1.0, 1.0]])
def test_a_difference_turned_round_has_the_interval_turned_round(shares):
    """Also where all images differ by the same share, which no resampling tells apart."""
    there, back = (
        mean_difference(np.array(shares), np.zeros(len(shares))),
        mean_difference(np.zeros(len(shares)), np.array(shares)),
    )
    assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low), abs=1e-12)
    assert there.low < there.value < there.high
