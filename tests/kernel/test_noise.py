"""Philox against published vectors, and the independence of draws from everything but their name."""

from __future__ import annotations

import pytest
import torch
from refused import refused
from scipy.stats import kstest

from bench.noise import PURPOSES, ForbiddenNoise, Noise, philox

ONES = 0xFFFFFFFF
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ONES,) * 4, (ONES, ONES), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (PI, (0xA4093822, 0x299F31D0), "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_published_vectors(counter, key, expected):
    """Known answers of Random123 (Salmon et al. 2011)."""
    words = philox(torch.tensor(counter).view(4, 1), key).flatten().tolist()
    assert " ".join(f"{word:08x}" for word in words) == expected


def test_counters_are_independent_of_their_neighbours():
    counters = torch.arange(4 * 60).view(4, 3, 20)
    together = philox(counters, (1, 2))
    assert torch.equal(together[:, 1:2, 5:6], philox(counters[:, 1:2, 5:6], (1, 2)))


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_draw_does_not_depend_on_the_batch(size):
    noise, like = Noise(9, torch.arange(64) * 3), torch.empty(64, 1, 28, 28)
    for kind in ("normal", "uniform"):
        whole = getattr(noise, kind)(like)
        parts = [getattr(noise[slice(k, k + size)], kind)(like[k : k + size]) for k in range(0, 64, size)]
        assert torch.equal(whole, torch.cat(parts))
    order = torch.arange(63, -1, -1)
    assert torch.equal(noise[order].normal(like), noise.normal(like)[order])


def test_double_and_single_precision_draw_the_same_numbers():
    noise = Noise(1, torch.arange(3))
    assert torch.equal(noise.normal(torch.empty(3, 5)).double(), noise.normal(torch.empty(3, 5, dtype=torch.float64)))


def test_every_part_of_the_name_changes_the_draw():
    like = torch.empty(1, 8)
    base = Noise(1, torch.tensor([5]))
    others = [
        Noise(2, base.ids), Noise(1 + (1 << 32), base.ids), Noise(1, torch.tensor([6])), base.at(1),
        *(base.of(purpose) for purpose in PURPOSES if purpose != "score"),
    ]  # fmt: skip
    draws = [base.normal(like), base.normal(like, step=1), *(other.normal(like) for other in others)]
    assert len({tuple(draw.flatten().tolist()) for draw in draws}) == len(draws)


def test_distributions():
    noise, like = Noise(3, torch.arange(100)), torch.empty(100, 1000)
    assert kstest(noise.normal(like).flatten(), "norm").pvalue > 0.01
    assert kstest(noise.uniform(like).flatten(), "uniform").pvalue > 0.01


def test_uniform_never_reaches_its_ends_and_sizes_need_not_be_multiples_of_four():
    draw = Noise(0, torch.arange(1000)).uniform(torch.empty(1000, 999))
    assert draw.min() > 0
    assert draw.max() < 1
    assert torch.equal(
        Noise(0, torch.arange(2)).uniform(torch.empty(2, 3)),
        Noise(0, torch.arange(2)).uniform(torch.empty(2, 5))[:, :3],
    )


def test_a_deterministic_defense_is_not_given_noise():
    with refused("noise-drawn", kind=RuntimeError):
        ForbiddenNoise(0, torch.arange(1)).normal(torch.empty(1, 1))


@pytest.mark.parametrize("arguments", [{"purpose": "lunch"}, {"draw": 1 << 24}, {"draw": -1}, {"seed": -1}])
def test_names_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match="expected a purpose"):
        Noise(**({"seed": 0, "ids": torch.arange(1)} | arguments))


def test_draws_spread_over_rows_that_have_draws_of_their_own():
    """Each copy goes on from its own row's number, and draws what that number draws alone."""
    noise = Noise(3, torch.arange(2), draw=torch.tensor([5, 9]))
    spread = noise.spread(3)
    assert spread.draw.tolist() == [5, 9, 6, 10, 7, 11]
    like = torch.empty(6, 1, 2, 2)
    alone = Noise(3, torch.tensor([1]), draw=11).normal(like[:1])
    assert torch.equal(spread.normal(like)[5:], alone)
