"""Gradients that are not finite: mended for the attack, counted, claimed, flagged, not ranked; no attack makes an image of them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

from attacks import apgd, cw, diffhammer, pgd
from bench.ball import project, steepest, uniform_in_ball
from bench.cli import main
from bench.defended import DefendedClassifier
from bench.errors import AttackError, UserError
from bench.finite import usable
from bench.noise import Noise
from bench.records import read_record
from bench.spoiled import GRADIENT, IMAGE, Spoiled
from bench.testing import ContractError, check_defense
from bench.threat import ThreatModel
from bench.wrapped import KeyedRows
from leaderboards.boards import collect

PLANTS = Path(__file__).parent / "plants"
_SPEC = importlib.util.spec_from_file_location("plants_not_finite", PLANTS / "not_finite.py")
traps = sys.modules[_SPEC.name] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(traps)
NAN, INF = float("nan"), float("inf")
THREATS = [ThreatModel.parse(text) for text in ("linf:0.1", "l2:0.5", "l1:2")]


def pixels(*values, dtype=torch.float32):
    return torch.tensor(values, dtype=dtype).view(1, 1, 1, -1)


# One gradient


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((1.0, -2.0, 0.0), (1.0, -2.0, 0.0)),
        ((NAN, -2.0, 0.5), (0.0, -2.0, 0.5)),
        ((NAN, NAN, NAN), (0.0, 0.0, 0.0)),
        ((INF, -2.0, -INF), (1.0, 0.0, -1.0)),
        ((INF, NAN, 3e38), (1.0, 0.0, 0.0)),
        ((1e30, -2e30, 0.0), (0.5, -1.0, 0.0)),
        ((NAN, -2e30, 1e30), (0.0, -1.0, 0.5)),
        ((1e19, -1e18, 0.0), (1e19, -1e18, 0.0)),
    ],
)
def test_what_an_attack_follows_in_place_of_a_gradient_that_is_not_finite(given, expected):
    """NaN is 0; infinities leave the limit of the direction; what overflows in the norm is divided by its largest entry."""
    together = torch.cat([pixels(1.0, 2.0, 3.0), pixels(*given)])
    assert usable(together).flatten().tolist() == pytest.approx([1, 2, 3, *expected])
    assert torch.equal(usable(together)[0], together[0])


def test_the_norm_overflows_later_in_double_precision():
    given = pixels(1e30, -2e30, 0.0, dtype=torch.float64)
    assert usable(given) is given
    assert usable(1e200 * given).flatten().tolist() == [0.5, -1, 0]


@pytest.mark.parametrize("threat", THREATS, ids=str)
@pytest.mark.parametrize("entry", [1e-45, 1e-30, 1e-10, 1.0, 1e10, 1e19, 1e30, 3e38])
def test_steepest_directions_have_unit_norm_whatever_the_size(threat, entry):
    """Norms of squares underflow below 1e-19 and overflow above 1e19 in float32; the direction of (3, -4) is known."""
    direction = steepest(torch.full((1, 1, 28, 28), entry), threat)
    order = {"linf": INF, "l2": 2, "l1": 1}[threat.norm]
    assert float(torch.linalg.vector_norm(direction.flatten(), ord=order)) == pytest.approx(1, rel=1e-5)
    assert (direction >= 0).all()


@pytest.mark.parametrize("threat", THREATS, ids=str)
@pytest.mark.parametrize(
    "values", [(NAN, 1.0), (INF, 1.0), (-INF, NAN), (NAN, NAN), (0.0, 0.0), (3e38, 1e-45), (1e-45, 0.0)]
)
def test_no_step_makes_an_image_that_is_not_finite(threat, values):
    start = torch.full((1, 1, 1, 2), 0.5)
    moved = project(start + threat.radius * steepest(pixels(*values), threat), start, threat)
    assert torch.isfinite(moved).all()
    assert moved.min() >= 0
    assert moved.max() <= 1


@pytest.mark.parametrize("threat", THREATS, ids=str)
@pytest.mark.parametrize("far", [1e9, 1e20, 3e38])
def test_projections_of_far_points_are_finite(threat, far):
    start = torch.full((1, 1, 1, 4), 0.5)
    assert torch.isfinite(project(start + far, start, threat)).all()


def test_ordinary_directions_keep_their_bits():
    g = Noise(0, torch.arange(64)).normal(torch.empty(64, 1, 28, 28)) * torch.logspace(-12, 12, 64).view(-1, 1, 1, 1)
    length = torch.linalg.vector_norm(g, dim=(1, 2, 3), keepdim=True)
    assert torch.equal(steepest(g, THREATS[1]), g / length)
    assert torch.equal(steepest(g, THREATS[0]), g.sign())
    assert usable(g) is g


# The view


class Identity:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return x


class NoisyRoot:
    """NaN at black pixels under every draw."""

    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return x.sqrt() ** 2 + 0.01 * noise.normal(x)


class Sums(nn.Module):
    """Three classes by fixed weights."""

    def __init__(self):
        super().__init__()
        self.weight = Noise(3, torch.arange(16), "check").normal(torch.empty(16, 1, 1, 3)).flatten(1)

    def forward(self, x):
        return x.flatten(1) @ self.weight.to(x)


def black(count=5, dtype=torch.float32):
    """Grey images, of which every second has two black pixels."""
    x = (0.5 + 0.05 * torch.arange(count, dtype=dtype)).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).clone()
    x[::2, :, 0, :2] = 0
    return x


IDS = torch.arange(40, 45)
Y = torch.zeros(5, dtype=torch.long)


def total(logits, y):
    return logits.square().sum(dim=1)


@pytest.mark.parametrize("chunk", [2, 3, 16])
def test_each_image_counts_its_own_gradients_and_padding_none(chunk):
    model = DefendedClassifier(Sums(), traps.Root(), chunk=chunk)
    _, _, gradient = model.differentiate(black(), Y, Noise(0, IDS), total)
    assert torch.isfinite(gradient).all()
    assert (gradient[::2, :, 0, :2] == 0).all()
    assert model.spoiled.counts == {GRADIENT: {40: 1, 42: 1, 44: 1}}
    twin = DefendedClassifier(Sums(), traps.RootTwin(), chunk=chunk)
    _, _, exact = twin.differentiate(black(), Y, Noise(0, IDS), total)
    assert torch.equal(gradient, exact)
    assert twin.spoiled.counts == {}


def test_every_draw_counts_and_the_mean_is_finite():
    model = DefendedClassifier(Sums(), NoisyRoot(), chunk=4)
    noise = Noise(0, IDS, "attack").spread(3)
    _, _, gradient = model.expect(black(), Y, noise, total)
    assert torch.isfinite(gradient).all()
    assert model.spoiled.counts == {GRADIENT: {40: 3, 42: 3, 44: 3}}


def test_a_vector_that_is_carried_back_is_finite():
    model = DefendedClassifier(Sums(), traps.Root(), chunk=2)
    assert torch.isfinite(model.pull_back(black(), Noise(0, IDS), torch.ones(5, 1, 4, 4))).all()
    assert model.view(model.mode).spoiled.counts == {GRADIENT: {40: 1, 42: 1, 44: 1}}


def test_who_computes_no_gradient_counts_none():
    model = DefendedClassifier(Sums(), traps.Root(), chunk=2)
    model(black(), Noise(0, IDS))
    assert model.spoiled.counts == {}


def test_images_that_came_in_broken_are_the_attacks_fault():
    x = black()
    x[1, 0, 0, 0] = NAN
    with pytest.raises(AttackError, match=r"^expected the attack to .*finite.* on samples \[41\]; "):
        DefendedClassifier(Sums(), Identity(), chunk=16)(x, Noise(0, IDS))
    with pytest.raises(AttackError, match=r"on samples \[41\]; "):
        DefendedClassifier(Sums(), Identity(), chunk=16, mode=traps_mode("blind"))(x, Noise(0, IDS))

    class Log(Identity):
        def purify(self, x, noise):
            return x.log()

    with pytest.raises(
        UserError, match=r"^expected Log.purify to return finite pixels, .* on samples \[40, 42, 44\]; "
    ):
        DefendedClassifier(Sums(), Log(), chunk=16)(black(), Noise(0, IDS))


def traps_mode(name):
    from bench.gradient import GradientMode

    return GradientMode(name)


@pytest.mark.parametrize("trap", traps.TRAPS, ids=lambda trap: trap.__name__)
@pytest.mark.parametrize(
    ("attack", "threat"),
    [
        *((pgd.pgd, threat) for threat in THREATS), *((apgd.apgd, threat) for threat in THREATS),
        (lambda *parts: apgd.apgd(*parts, start="wide", steps=20), THREATS[1]), (cw.cw, THREATS[1]),
        (lambda *parts: cw.cw(*parts, constant=1e30, steps=10), THREATS[1]),
        *((diffhammer.diffhammer, threat) for threat in THREATS),
    ],
)  # fmt: skip
def test_own_attacks_look_at_finite_images_only(attack, threat, trap):
    class Watch(trap):
        def purify(self, x, noise):
            assert torch.isfinite(x.detach()).all()
            return super().purify(x, noise)

    x = black()
    found = attack(DefendedClassifier(Sums(), Watch(), chunk=16), x, Y, threat, Noise(0, IDS, "attack"))
    assert torch.isfinite(found).all()


# Other packages' attacks


def test_rows_of_others_are_counted_for_the_image_that_they_belong_to():
    """They come without ids and in subsets: the nearest image of the shard is theirs."""
    x = black()
    model = DefendedClassifier(Sums(), traps.Root(), chunk=16)
    rows = KeyedRows(model, Noise(0, IDS, "attack"), x)
    leaf = (x[[4, 1]]).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(rows(leaf).sum(), leaf)
    assert torch.isfinite(gradient).all()
    assert model.spoiled.counts == {GRADIENT: {44: 1}}


def test_the_image_itself_stands_in_for_a_broken_row():
    x = black()
    model = DefendedClassifier(Sums(), Identity(), chunk=16)
    rows = KeyedRows(model, Noise(0, IDS, "attack"), x)
    broken = x[[3, 2]].clone()
    broken[0, 0, 2] = NAN
    broken[1, 0, 3, 3] = INF
    leaf = broken.requires_grad_()
    logits = rows(leaf)
    torch.testing.assert_close(logits, Sums()(x[[3, 2]]))
    (gradient,) = torch.autograd.grad(logits.sum(), leaf)
    assert (gradient == 0).all()
    assert model.spoiled.counts == {IMAGE: {43: 1, 42: 1}}


@pytest.mark.parametrize("name", ["PGDL2", "DeepFool", "CW", "PGD", "FGSM", "APGD"])
def test_attacks_of_torchattacks_cost_an_image_and_not_the_run(name):
    pytest.importorskip("torchattacks")
    from attacks.torchattacks import attack

    threat = THREATS[0] if name in ("PGD", "FGSM") else THREATS[1]
    model = DefendedClassifier(Sums(), traps.Root(), chunk=16)
    y = Sums()(black()).argmax(dim=1)
    found = attack(name)(model, black(), y, threat, Noise(0, IDS, "attack"))
    assert torch.isfinite(found).all()
    assert set(model.spoiled.counts[GRADIENT]) == {40, 42, 44}


@pytest.mark.parametrize("trap", [traps.Root, traps.Power, traps.Steep], ids=lambda trap: trap.__name__)
def test_the_reference_code_looks_at_finite_images_only(trap):
    from attacks.autoattack import autoattack

    class Watch(trap):
        def purify(self, x, noise):
            assert torch.isfinite(x.detach()).all()
            return super().purify(x, noise)

    model = DefendedClassifier(Sums(), Watch(), chunk=16)
    y = Sums()(black()).argmax(dim=1)
    found = autoattack(
        model, black(), y, THREATS[1], Noise(0, IDS, "attack"), version="custom", attacks=("apgd-ce", "fab")
    )
    assert torch.isfinite(found).all()
    assert model.spoiled.counts[GRADIENT]


def test_what_is_said_of_an_image_names_what_was_wrong():
    spoiled = Spoiled()
    spoiled.note(GRADIENT, [3, 3, 4])
    spoiled.note(IMAGE, [4])
    assert spoiled.words(5, {"claimed": True}) == {"claimed": True}
    assert spoiled.words(3, {}) == {"flags": [GRADIENT], "gradients_not_finite": 2}
    assert spoiled.words(4, {"flags": ["softmax"]}) == {
        "flags": ["softmax", GRADIENT, IMAGE], "gradients_not_finite": 1, "images_not_finite": 1,
    }  # fmt: skip
