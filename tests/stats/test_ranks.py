"""Ranks and their confidence sets: by hand, against all orders of the rows, by exact enumeration, and over simulated boards."""

import itertools
from math import factorial, prod

import numpy as np
import pytest
from scipy.stats import binomtest
from simulated_ranks import SHAPES, coverage
from statsmodels.stats.multitest import multipletests

from bench.stats.ranks import positions, rank_intervals


def test_positions_are_shared_by_equal_values():
    assert positions([0.5, 0.9, 0.5, 0.1]) == [2, 1, 2, 4]
    assert positions([]) == []


def test_intervals_by_hand():
    """The best two differ on one image of 100, which no test tells apart; the third is far below both."""
    best, near, low = np.ones(100), np.r_[np.zeros(1), np.ones(99)], np.r_[np.zeros(60), np.ones(40)]
    assert rank_intervals(np.array([low, best, near])) == [(3, 3), (1, 2), (1, 2)]
    assert rank_intervals(np.array([best])) == [(1, 1)]


def test_a_row_better_than_a_better_one_is_better():
    """Two steps of 8 images lost and none won are significant; the images that 0 and 2 share are too few for a test of these two."""
    rows = np.full((3, 34), np.nan)
    rows[0, :18] = 1
    rows[1, :34] = np.r_[np.zeros(10), np.ones(24)]
    rows[2, 16:34] = np.r_[1, 1, np.zeros(16)]
    assert rank_intervals(rows) == [(1, 1), (2, 2), (3, 3)]


def test_tests_that_contradict_each_other_leave_all_ranks_open():
    """On 12 images each, the first beats the second, the second the third, and the third the first."""
    rows = np.full((3, 36), np.nan)
    for better, worse, start in ((0, 1, 0), (1, 2, 12), (2, 0, 24)):
        rows[better, start : start + 12], rows[worse, start : start + 12] = 1, 0
    assert rank_intervals(rows) == [(1, 3)] * 3


@pytest.mark.parametrize("key", range(6))
def test_the_ends_are_those_of_all_orders_that_no_test_excludes(key):
    """Tests by scipy and statsmodels; then every order of five rows that agrees with them."""
    rng = np.random.Generator(np.random.Philox(key=key))
    rows = (rng.random((5, 60)) < rng.random(5)[:, None]).astype(float)
    pairs = list(itertools.combinations(range(5), 2))
    p = [_mcnemar(rows[a], rows[b]) for a, b in pairs]
    apart = multipletests(p, method="holm")[0]
    better = [
        pair if rows[pair[0]].sum() > rows[pair[1]].sum() else pair[::-1]
        for pair, is_apart in zip(pairs, apart, strict=True)
        if is_apart
    ]
    orders = [order for order in itertools.permutations(range(5)) if all(order[a] < order[b] for a, b in better)]
    assert 0 < len(better) < len(pairs)
    wanted = [(min(order[row] for order in orders) + 1, max(order[row] for order in orders) + 1) for row in range(5)]
    assert rank_intervals(rows) == wanted


def _mcnemar(a, b):
    only_a, only_b = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    return binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0


@pytest.mark.parametrize("agree", [0.0, 0.5, 0.9])
def test_three_equal_rows_on_eight_images_are_covered_by_enumeration(agree):
    """The exact probability, over all results of eight images, that some interval lacks a rank; `agree`: all rows right or wrong."""
    patterns = list(itertools.product((0, 1), repeat=3))
    chance = [(1 - agree) / 8 + (agree / 2 if len(set(pattern)) == 1 else 0) for pattern in patterns]
    missed = 0.0
    for places in itertools.combinations(range(8 + 7), 7):
        counts = np.diff([-1, *places, 15]) - 1
        if sum(counts[1:7]) < 7:  # six images that differ are significant for no pair
            continue
        rows = np.repeat(np.array(patterns, dtype=float), counts, axis=0).T
        if rank_intervals(rows) != [(1, 3)] * 3:
            ways = factorial(8) // prod(factorial(count) for count in counts.tolist())
            missed += ways * prod(one**count for one, count in zip(chance, counts.tolist(), strict=True))
    assert missed < 0.05
    assert (missed > 0) or agree == 0.9


@pytest.mark.parametrize(("shape", "widest"), [("equal", 20), ("one apart", 18.2), ("grouped", 9.2)])
def test_all_ranks_are_covered_at_once(shape, widest):
    held, width = coverage(rank_intervals, shape, 100)
    assert held >= 0.95
    assert width <= widest


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.5, 0.9])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_ranks_are_covered_at_once_on_2000_boards(shape, correlation):
    assert coverage(rank_intervals, shape, 2000, correlation=correlation)[0] >= 0.95
