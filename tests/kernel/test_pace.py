"""Work, and what it takes, by hand."""

from __future__ import annotations

from bench.pace import Pace, Work


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
