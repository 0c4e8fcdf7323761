"""Work, and the time that is left of it, by hand."""

from __future__ import annotations

import pytest

from bench.pace import Pace, TimeToGo, Work


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_work_adds_up():
    total = Work(evaluations=2, gradients=1) + Work(gradients=3) * 2
    assert total == Work(evaluations=2, gradients=7)
    assert total.forward_equivalents == 23


def test_one_kind_of_chunk_tells_of_the_other_until_both_are_timed():
    pace = Pace()
    pace.took("gradient", 6.0)
    assert pace.seconds(Work(evaluations=1, gradients=1)) == 8.0
    pace.took("evaluation", 1.0)
    assert pace.seconds(Work(evaluations=1, gradients=1)) == 7.0


def test_a_run_by_its_shard_at_hand_then_by_those_that_are_done():
    clock = Clock()
    left = TimeToGo(150, 0, clock)
    assert left.seconds() is None
    clock.now += 10
    left.working(0.25, 50)
    assert left.seconds() == pytest.approx(30 + 80)
    clock.now += 20
    left.finished(50)
    assert left.seconds() == pytest.approx(60)
    clock.now += 10
    left.working(0.05, 50)  # goes at 200 a shard; those before took 30
    assert left.seconds() == pytest.approx(105 + 50 * (30 + 115) / 100)
    left.working(0.5, 50)
    assert left.seconds() == pytest.approx(10 + 50 * (30 + 20) / 100)
    clock.now += 20
    left.finished(50)
    left.finished(50)
    assert left.seconds() == 0


def test_a_run_that_goes_on_counts_only_its_own_time():
    clock = Clock()
    left = TimeToGo(150, 100, clock)
    clock.now += 10
    left.working(0.5, 50)
    assert left.seconds() == pytest.approx(10)


def test_a_shard_that_takes_longer_than_it_said_is_not_negative():
    clock = Clock()
    left = TimeToGo(50, 0, clock)
    clock.now += 10
    left.working(1.0, 50)
    clock.now += 10
    assert left.seconds() == 0
