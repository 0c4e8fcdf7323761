"""Ranks and their confidence sets, by hand and by enumeration."""

import numpy as np

from bench.stats.ranks import positions, rank_intervals


def test_positions_are_shared_by_equal_values():
    assert positions([0.5, 0.9, 0.5, 0.1]) == [2, 1, 2, 4]
    assert positions([]) == []


def test_intervals_by_hand():
    """The best two differ on one image of 100, which no test tells apart; the third is far below both."""
    best, near, low = np.ones(100), np.r_[np.zeros(1), np.ones(99)], np.r_[np.zeros(60), np.ones(40)]
    assert rank_intervals(np.array([low, best, near])) == [(3, 3), (1, 2), (1, 2)]
    assert rank_intervals(np.array([best])) == [(1, 1)]
