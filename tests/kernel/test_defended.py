"""The attacker's views of one defended classifier."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from refused import refused
from torch import nn

from bench.defended import DefendedClassifier
from bench.errors import AttackError
from bench.gradient import GradientMode
from bench.noise import Noise


class Halve:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return x / 2


class Noisy:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return x + 0.1 * noise.normal(x)


class Square(nn.Module):
    """Logits (sum x^2, 0): the gradient of the first is 2 x."""

    def forward(self, x):
        return torch.stack([x.square().sum(dim=(1, 2, 3)), x.sum(dim=(1, 2, 3)) * 0], dim=1)


def first(logits, y):
    return logits[:, 0]


X = torch.linspace(0, 1, 20, dtype=torch.float64).view(5, 1, 2, 2)
Y = torch.zeros(5, dtype=torch.long)
NOISE = Noise(0, torch.arange(5))


@pytest.mark.parametrize(
    ("mode", "value", "slope"),
    [("full", 0.25, 0.5), ("bpda", 0.25, 1.0), ("blind", 1.0, 2.0)],
)
def test_value_and_gradient_of_each_mode(mode, value, slope):
    """f(x) = |x / 2|^2: exact derivative x / 2; identity backward gives 2 (x / 2); blind sees |x|^2."""
    model = DefendedClassifier(Square(), Halve(), mode=GradientMode(mode), chunk=2)
    logits, values, gradient = model.differentiate(X, Y, NOISE, first)
    torch.testing.assert_close(values, value * X.square().sum(dim=(1, 2, 3)))
    torch.testing.assert_close(gradient, slope * X)
    assert logits.shape == (5, 2)


def test_scores_only_gives_no_gradient():
    model = DefendedClassifier(Square(), Halve(), mode=GradientMode.NONE)
    with refused("attack-wants-gradients", kind=AttackError):
        model.differentiate(X, Y, NOISE, first)
    assert not model(X.clone().requires_grad_(), NOISE).requires_grad


@pytest.mark.parametrize("chunk", [1, 3, 5, 16])
def test_chunks_change_neither_values_nor_counts(chunk):
    model = DefendedClassifier(Square(), Noisy(), chunk=chunk)
    whole = DefendedClassifier(Square(), Noisy(), chunk=5)
    torch.testing.assert_close(model(X, NOISE), whole(X, NOISE), rtol=0, atol=1e-14)
    model.differentiate(X, Y, NOISE, first)
    assert all(model.tally.of(k)["classifier_forward"] == 2 for k in range(5))
    assert all(model.tally.of(k)["classifier_backward"] == 1 for k in range(5))


def test_backward_passes_outside_differentiate_are_counted_for_the_chunk_they_belong_to():
    model = DefendedClassifier(Square(), Halve(), chunk=2)
    leaf = X.clone().requires_grad_()
    model(leaf, NOISE).sum().backward()
    assert [model.tally.of(k)["classifier_backward"] for k in range(5)] == [1] * 5


def test_draws_follow_the_image_not_the_slot():
    model = DefendedClassifier(Square(), Noisy(), chunk=4)
    order = torch.tensor([4, 2, 0])
    torch.testing.assert_close(model(X[order], NOISE[order]), model(X, NOISE)[order], rtol=0, atol=1e-14)


def test_what_the_attacker_may_rely_on():
    assert DefendedClassifier(Square(), Halve()).decisive
    assert not DefendedClassifier(Square(), Halve(), mode=GradientMode.BLIND).decisive
    assert not DefendedClassifier(Square(), Noisy()).decisive
    assert DefendedClassifier(Square(), Noisy()).stochastic
    assert not DefendedClassifier(Square(), Noisy(), mode=GradientMode.BLIND).stochastic


def test_full_gradients_of_a_defense_without_any_are_refused():
    class Rounds(Halve):
        differentiable = False

    with refused("defense-not-differentiable"):
        DefendedClassifier(Square(), Rounds())
    DefendedClassifier(Square(), Rounds(), mode=GradientMode.BPDA)
