"""Attacks on a noisy linear classifier, whose robust accuracy under the best attack is known in closed form."""

from __future__ import annotations

from functools import partial
from statistics import NormalDist
from typing import ClassVar

import pytest
import torch
from torch import nn

from attacks.autoattack import autoattack
from attacks.diffhammer import diffhammer
from attacks.pgd import pgd
from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.threat import ThreatModel

THREAT, COUNT, DEVIATION = ThreatModel.parse("linf:8/255"), 2000, 0.1
Z99 = NormalDist().inv_cdf(0.995)


class Noisy:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return x + DEVIATION * noise.normal(x)


class Linear(nn.Module):
    """Four classes on 4 x 4 images: the margin between the first two is `slope.(x - 1/2)`, the others never win."""

    def __init__(self, seed):
        super().__init__()
        self.slope = Noise(seed, torch.tensor([0]), "check").normal(torch.empty(1, 16))[0]

    def forward(self, x):
        half = (x.flatten(1) - 0.5) @ self.slope / 2
        return torch.stack([half, -half, torch.full_like(half, -10.0), torch.full_like(half, -11.0)], dim=1)


def toy(seed):
    """The attacker's view, images inside [0.3, 0.7] with labels of both classes, and their noise."""
    model = DefendedClassifier(Linear(seed), Noisy(), chunk=COUNT)
    noise = Noise(seed, torch.arange(COUNT))
    x = 0.3 + 0.4 * noise.of("check").uniform(torch.empty(COUNT, 1, 4, 4))
    return model, x, model.network(x).argmax(dim=1), noise


def closed_form(model, x, y):
    """Each image's chance to be right under the best attack: Phi((m - eps ||w||_1) / (s ||w||_2))."""
    slope = model.network.slope
    clean = (x.flatten(1) - 0.5) @ slope * (1 - 2 * y)
    return torch.special.ndtr((clean - THREAT.radius * slope.abs().sum()) / (DEVIATION * slope.norm()))


def deviation(attack, seed):
    """The score on one fresh draw an image minus the closed form, in half-widths of its 99 % interval."""
    model, x, y, noise = toy(seed)
    adversarial = attack(model, x, y, THREAT, noise.of("attack"))
    right = model.view(GradientMode.NONE)(adversarial, noise).argmax(dim=1) == y
    chances = closed_form(model, x, y)
    width = Z99 * (chances * (1 - chances)).sum().sqrt() / COUNT
    return float((right.float().mean() - chances.mean()) / width)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "attack",
    [
        partial(pgd, steps=3, eot=2, losses=("cw",)),
        partial(diffhammer, steps=4, eot=2),
        pytest.param(partial(autoattack, version="rand"), marks=pytest.mark.slow),
        pytest.param(partial(pgd, eot=20), marks=pytest.mark.slow),
        pytest.param(diffhammer, marks=pytest.mark.slow),
    ],
    ids=["pgd", "diffhammer", "autoattack-rand", "pgd-eot in full", "diffhammer-2024 in full"],
)
def test_the_score_of_a_noisy_linear_classifier_is_the_closed_form(attack, seed):
    assert abs(deviation(attack, seed)) <= 1


def goes_half_way(model, x, y, threat, noise):
    return (x + pgd(model, x, y, threat, noise, steps=3, eot=2, losses=("cw",))) / 2


@pytest.mark.parametrize("seed", range(5))
def test_an_attack_of_half_the_strength_is_told_from_the_best(seed):
    assert deviation(goes_half_way, seed) > 1
