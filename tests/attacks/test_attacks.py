"""PGD and random search: active sets, losses, restarts, views, and another implementation beside them."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from pyautoattack.autopgd_base import APGDAttack
from refused import refused
from torch import nn

from attacks.null import null
from attacks.pgd import pgd
from attacks.random import random
from bench.data.fashion_mnist import fashion_mnist
from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.losses import LOSSES
from bench.margin import margin
from bench.models.embedded import fashion_mnist_classifier
from bench.noise import Noise
from bench.threat import ThreatModel
from defenses.identity import Identity

LINF, L2 = ThreatModel.parse("linf:8/255"), ThreatModel.parse("l2:0.5")


class Noisy:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return x + 0.1 * noise.normal(x)


class Linear(nn.Module):
    """Margin of class 0 is 2 w.x for w = (1, -1, 1, -1), shifted."""

    def forward(self, x):
        score = (x.flatten(1) - 0.5) @ x.new_tensor([1.0, -1.0, 1.0, -1.0])
        return torch.stack([score + 0.01, -score], dim=1)


@pytest.fixture(scope="module")
def fashion():
    data = fashion_mnist()
    x, y = torch.from_numpy(data.floats(slice(0, 100))), torch.from_numpy(data.labels[:100])
    model = DefendedClassifier(fashion_mnist_classifier(), Identity(), chunk=50)
    right = model(x, Noise(0, torch.arange(100))).argmax(dim=1) == y
    return model, x[right], y[right], Noise(0, torch.arange(100)[right], "attack")


def accuracy(model, x, y, noise):
    return float((model(x, noise).argmax(dim=1) == y).float().mean())


@pytest.mark.parametrize("text", ["linf:8/255", "l2:0.5"])
def test_pgd_is_no_weaker_than_another_implementation_of_a_stronger_attack(text, fashion):
    """APGD with cross-entropy and 100 steps (Croce and Hein 2020), by pyautoattack, against 40 steps on two losses."""
    model, x, y, noise = fashion
    threat = ThreatModel.parse(text)
    mine = pgd(model, x, y, threat, noise, steps=40)
    other = APGDAttack(
        model.network,
        n_iter=100,
        norm="Linf" if threat.norm == "linf" else "L2",
        eps=threat.radius,
        loss="ce",
        seed=0,
        device="cpu",
    )
    theirs = other.perturb(x.clone(), y.clone())
    theirs = theirs[1] if isinstance(theirs, tuple) else theirs
    assert (
        accuracy(model, mine, y, noise) <= accuracy(model, theirs, y, noise) + 0.03
    )  # two images of ninety have a better optimum that momentum finds


def test_the_undefended_classifier_falls_at_the_default_threat(fashion):
    model, x, y, noise = fashion
    assert accuracy(model, pgd(model, x, y, ThreatModel.parse("linf:20/255"), noise), y, noise) <= 0.02


def test_a_broken_image_rests():
    """Image 0 is broken by any step, image 1 by none: it alone is carried to the end of both losses."""
    x = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.9, 0.1, 0.9, 0.1]]).view(2, 1, 2, 2)
    model = DefendedClassifier(Linear(), Identity(), chunk=2)
    pgd(model, x, torch.tensor([0, 0]), LINF, Noise(0, torch.tensor([7, 8])), steps=10, start="zero")
    assert model.tally.of(7)["classifier_backward"] <= 2
    assert model.tally.of(8)["classifier_backward"] == 20


def test_no_image_rests_under_a_stochastic_defense_and_eot_multiplies_the_gradients():
    x = torch.full((2, 1, 2, 2), 0.5)
    model = DefendedClassifier(Linear(), Noisy(), chunk=2)
    pgd(model, x, torch.tensor([0, 0]), LINF, Noise(0, torch.tensor([7, 8])), steps=3, losses=("ce",), eot=4)
    assert [model.tally.of(k)["classifier_backward"] for k in (7, 8)] == [12, 12]


def test_the_best_point_over_losses_and_restarts_is_kept(fashion):
    model, x, y, noise = fashion
    x, y, noise = x[:20], y[:20], noise[torch.arange(20)]
    one = margin(model(pgd(model, x, y, L2, noise, steps=5, losses=("cw",)), noise), y)
    more = margin(model(pgd(model, x, y, L2, noise, steps=5, restarts=3), noise), y)
    standing = (one >= 0) & (more >= 0)
    assert (more[standing] <= one[standing] + 1e-6).all()
    assert not ((one < 0) & (more >= 0)).any()


def test_without_a_purifier_full_bpda_and_blind_gradients_are_the_same(fashion):
    model, x, y, noise = fashion
    parts = [
        model.view(GradientMode(mode)).differentiate(x[:8], y[:8], noise[:8], LOSSES["ce"])[2]
        for mode in ("full", "bpda", "blind")
    ]
    assert torch.equal(parts[0], parts[1])
    assert torch.equal(parts[0], parts[2])


def test_random_search_keeps_the_worst_draw(fashion):
    model, x, y, noise = fashion
    few, many = (
        margin(model(random(model, x[:20], y[:20], LINF, noise[:20], tries=k), noise[:20]), y[:20]) for k in (1, 10)
    )
    assert (many[few >= 0] <= few[few >= 0] + 1e-6).all()
    assert (many < few).any()


def test_null_changes_nothing(fashion):
    model, x, y, noise = fashion
    assert null(model, x, y, LINF, noise) is x


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("pgd-arguments", {"steps": 0}),
        ("pgd-arguments", {"restarts": 0}),
        ("pgd-arguments", {"eot": 0}),
        ("pgd-arguments", {"step_size": -1.0}),
        ("pgd-arguments", {"step_size": 0.0}),
        ("loss-unknown", {"losses": ()}),
        ("loss-unknown", {"losses": ("hinge",)}),
        ("pgd-schedule", {"schedule": "linear"}),
        ("pgd-schedule", {"start": "far"}),
    ],
)
def test_pgd_refuses_arguments_out_of_range(code, arguments, fashion):
    model, x, y, noise = fashion
    with refused(code):
        pgd(model, x[:1], y[:1], LINF, noise[:1], **arguments)
    with refused("random-tries"):
        random(model, x[:1], y[:1], LINF, noise[:1], tries=0)
