"""What an attack keeps: which draws estimates and comparisons take, and which point wins."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import nn

from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.search import Search
from defenses.identity import Identity

NOISE = Noise(3, torch.arange(4), "attack")


class Noisy:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return x + noise.normal(x)


class Pixel(nn.Module):
    """Class 0 has the margin of the only pixel."""

    def forward(self, x):
        return torch.cat([x.flatten(1), 0 * x.flatten(1)], dim=1)


def search(defense, **arguments):
    known = arguments.pop("known", 0)
    mode = arguments.pop("mode", GradientMode.FULL)
    model = DefendedClassifier(Pixel(), defense, chunk=4, known=known, mode=mode)
    return Search(model, torch.zeros(4, 1, 1, 1), torch.zeros(4, dtype=torch.long), NOISE, **arguments)


def drawn(noise):
    draw = noise.draw if isinstance(noise.draw, int) else noise.draw.tolist()
    return noise.purpose, noise.ids.tolist(), draw


def test_estimates_never_share_a_draw_and_comparisons_always_do():
    mine, rows = search(Noisy(), eot=2, confirming=2), torch.tensor([1, 3])
    assert [drawn(mine.estimate(rows)) for _ in range(2)] == [
        ("attack", [1, 3, 1, 3], [0, 0, 1, 1]),
        ("attack", [1, 3, 1, 3], [2, 2, 3, 3]),
    ]
    assert [drawn(mine._shared(rows)) for _ in range(2)] == [("confirm", [1, 3, 1, 3], [0, 0, 1, 1])] * 2
    assert mine.draws == 2


def test_known_draws_are_the_scored_ones():
    mine = search(Noisy(), known=3)
    expected = ("score", [2, 2, 2], [0, 1, 2])
    assert drawn(mine.estimate(torch.tensor([2]))) == drawn(mine._shared(torch.tensor([2]))) == expected
    assert mine.draws == 3


@pytest.mark.parametrize(("defense", "mode"), [(Identity(), GradientMode.FULL), (Noisy(), GradientMode.BLIND)])
def test_one_draw_is_enough_where_it_changes_nothing(defense, mode):
    mine = search(defense, mode=mode, known=3 if defense.deterministic else 0)
    assert drawn(mine.estimate(torch.tensor([2])))[1] == [2]
    assert mine.draws == 1


def test_of_two_equal_points_neither_is_the_luckier():
    """Twenty rounds with the same candidate change nothing; with other draws each time the lowest would be kept."""
    mine, rows = search(Noisy(), confirming=2), torch.arange(4)
    mine.confirm(rows, mine.x + 0.5)
    first = mine.margin.clone()
    for _ in range(20):
        mine.confirm(rows, mine.x + 0.5)
    assert torch.equal(mine.margin, first)


def test_fewer_right_draws_win_then_the_smaller_mean_margin():
    mine, rows = search(Identity()), torch.arange(2)
    mine.confirm(rows, torch.tensor([0.4, 0.4]).view(2, 1, 1, 1))
    mine.confirm(rows, torch.tensor([0.3, 0.5]).view(2, 1, 1, 1))
    assert mine.best[:2].flatten().tolist() == pytest.approx([0.3, 0.4])
    mine.confirm(rows, torch.tensor([-0.1, 0.6]).view(2, 1, 1, 1))
    assert mine.active.tolist() == [1, 2, 3]
    mine.confirm(rows, torch.tensor([-0.2, 0.1]).view(2, 1, 1, 1))
    assert mine.best[:2].flatten().tolist() == pytest.approx([-0.2, 0.1])
