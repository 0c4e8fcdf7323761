"""Carlini and Wagner's attack, transfer and DiffHammer against closed forms and against their steps written out."""

from __future__ import annotations

import math
from functools import partial
from typing import ClassVar

import pytest
import torch
from refused import refused
from torch import nn

from attacks.cw import cw
from attacks.diffhammer import diffhammer, weights
from attacks.pgd import pgd
from attacks.transfer import transfer
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.margin import margin
from bench.noise import Noise
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.entry import Entry
from bench.registry.registry import Registry
from bench.registry.tables import make_registry
from bench.testing import THREATS, check_attack
from bench.threat import ThreatModel
from defenses.identity import Identity

LINF, L2 = ThreatModel.parse("linf:8/255"), ThreatModel.parse("l2:0.1")
FAR = ThreatModel.parse("l2:2")


class Linear(nn.Module):
    """Logits `W (x - 1/2) + b`."""

    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = torch.tensor(weight).double(), torch.tensor(bias).double()

    def forward(self, x):
        return (x.flatten(1) - 0.5) @ self.weight.T + self.bias


TWO = Linear([[1.0, -1.0, 2.0, 0.5], [0.0, 0.0, 0.0, 0.0]], [0.3, 0.0])


class Recorder:
    """Moves every pixel by its draw's number, which it keeps."""

    deterministic: ClassVar[bool] = False

    def __init__(self):
        self.seen = []

    def purify(self, x, noise):
        draw = noise.draw if isinstance(noise.draw, torch.Tensor) else torch.full((len(x),), noise.draw)
        self.seen.append(sorted(set(draw.tolist())))
        return x + 1e-6 * draw.view(-1, 1, 1, 1)


class Witness(Identity):
    """Keeps what it is shown."""

    seen: ClassVar[list] = []

    def purify(self, x, noise):
        self.seen.append(x.detach().clone())
        return x


class Untouchable:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        raise RuntimeError("asked")


def images(count=3):
    noise = Noise(5, torch.arange(count), "attack")
    return 0.4 + 0.2 * noise.of("check").uniform(torch.empty(count, 1, 2, 2, dtype=torch.float64)), noise


def defended(classifier, defense=None, chunk=3):
    return DefendedClassifier(classifier, defense or Identity(), chunk=chunk)


def test_cw_finds_the_closest_adversarial_point_of_a_linear_classifier():
    """It lies at margin / ||w||, along w; here 0.04 to 0.17 away."""
    x, noise = images()
    y = TWO(x).argmax(dim=1)
    clean = margin(TWO(x), y)
    result = cw(defended(TWO), x, y, FAR, noise, steps=200, searches=8)
    distance = (result - x).flatten(1).norm(dim=1)
    assert (margin(TWO(result), y) < 0).all()
    assert distance == pytest.approx(clean / TWO.weight[0].norm(), rel=0.01)


def test_cw_keeps_the_closest_adversarial_point_it_has_seen():
    """With steps so long that it jumps to and fro."""
    x, noise = images(1)
    y = TWO(x).argmax(dim=1)
    Witness.seen.clear()
    result = cw(defended(TWO, Witness(), chunk=1), x, y, FAR, noise, steps=30, searches=3, step_size=0.3)
    seen = torch.cat(Witness.seen[:90])
    distances = (seen - x).flatten(1).norm(dim=1)[margin(TWO(seen), y.expand(90)) < 0]
    assert len(distances) > 10
    assert float((result - x).norm()) == pytest.approx(float(distances.min()))


def test_cw_reaches_black_pixels():
    """The closest point lies at 0.1 from black along the first pixel alone."""
    classifier = Linear([[-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], [-0.4, 0.0])
    x, noise = torch.zeros(1, 1, 2, 2, dtype=torch.float64), Noise(0, torch.tensor([3]), "attack")
    result = cw(defended(classifier, chunk=1), x, torch.tensor([0]), FAR, noise, steps=150, searches=8)
    assert result.flatten() == pytest.approx([0.1, 0, 0, 0], abs=2e-3)


def test_cw_is_confident_if_asked():
    x, noise = images()
    y = TWO(x).argmax(dim=1)
    result = cw(defended(TWO), x, y, FAR, noise, confidence=0.2, steps=200, searches=8)
    assert -margin(TWO(result), y) == pytest.approx([0.2] * 3, rel=0.02)


def test_cw_draws_a_point_outside_the_ball_back_to_its_border():
    x, noise = images()
    y, threat = TWO(x).argmax(dim=1), ThreatModel.parse("l2:0.01")
    result = cw(defended(TWO), x, y, threat, noise)
    drop = margin(TWO(x), y) - margin(TWO(result), y)
    assert (drop >= 0.99 * 0.01 * TWO.weight[0].norm()).all()


def test_cw_averages_draws_of_a_stochastic_defense():
    x, noise = images(2)
    model = defended(TWO, Recorder(), chunk=6)
    cw(model, x, TWO(x).argmax(dim=1), FAR, noise, steps=4, searches=2, eot=3)
    assert [model.tally.of(k)["classifier_backward"] for k in (0, 1)] == [24, 24]


@pytest.mark.parametrize(
    "arguments",
    [{"steps": 0}, {"searches": 0}, {"step_size": 0.0}, {"confidence": -1.0}, {"constant": 0.0}, {"eot": 0}],
)
def test_cw_refuses_arguments_out_of_range(arguments):
    x, noise = images()
    with refused("cw-arguments"):
        cw(defended(TWO), x, torch.zeros(3, dtype=torch.long), FAR, noise, **arguments)


def test_cw_refuses_other_norms():
    x, noise = images()
    with refused("cw-norm"):
        cw(defended(TWO), x, torch.zeros(3, dtype=torch.long), LINF, noise)


def test_transfer_is_the_optimum_of_the_other_classifier_and_asks_no_defense():
    x, noise = images()
    other = Linear([[0.0, 1.0, 1.0, -3.0], [0.0, 0.5, 0.0, 0.0]], [5.0, 0.0])
    result = transfer(
        defended(TWO, Untouchable()), x, torch.zeros(3, dtype=torch.long), LINF, noise, classifier="o", surrogate=other
    )
    step = LINF.radius * torch.tensor([0.0, -1.0, -1.0, 1.0])
    moved = torch.tensor([False, True, True, True])
    assert torch.allclose((result - x).flatten(1)[:, moved], step[moved].double().expand(3, 3))


def test_transfer_is_named_with_its_classifier_and_given_it_built():
    entry = Entry("attacks.transfer:transfer", "", gradient="blind", parameter="classifier")
    registry = Registry({**make_registry().tables, "attacks": {"transfer": entry}})
    made = plan(Request(defense="none", attack="transfer:fashion-mnist-at"), registry)
    assert made.attack.keywords["classifier"] == "fashion-mnist-at"
    assert isinstance(made.attack.keywords["surrogate"], nn.Module)
    assert made.work.gradients == 40


THREE = Linear([[0.0, 0.0, 0.0, 0.0], [0.0, 2.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.5]], [2.0, 0.2, 0.3])
WIDE = ThreatModel.parse("l2:0.3")


def by_hand(x, y, threat, steps, momentum):
    """Normalised steps of a quarter of eps along the running gradient of the runner-up's lead, image by image."""
    z, running, runners = x.clone(), torch.zeros_like(x), []
    for t in range(1, steps + 1):
        for i in range(len(x)):
            logits = THREE(z[i : i + 1])[0]
            runner = max((k for k in range(3) if k != y[i]), key=lambda k: logits[k])
            runners.append(runner)
            g = (THREE.weight[runner] - THREE.weight[y[i]]).view(1, 2, 2)
            share = t**-0.5 if momentum else 1
            running[i] = share * g + (1 - share) * running[i]
            z[i] += threat.radius / 4 * running[i] / running[i].norm()
            delta = z[i] - x[i]
            z[i] = x[i] + delta * min(1, threat.radius / float(delta.norm()))
    return z, runners


def test_diffhammer_with_one_draw_is_descent_with_momentum():
    x, noise = images()
    y = torch.zeros(3, dtype=torch.long)
    result = diffhammer(defended(THREE), x, y, WIDE, noise, steps=6, losses=("cw",))
    expected, runners = by_hand(x, y, WIDE, 6, momentum=True)
    assert torch.allclose(result, expected, atol=1e-12)
    assert len(set(runners)) == 2  # the gradient changes on the way, so the momentum counts
    assert not torch.allclose(expected, by_hand(x, y, WIDE, 6, momentum=False)[0], atol=1e-4)


def test_the_weights_are_those_of_two_rounds_by_hand():
    """Two draws that pull the one pixel apart: the first round follows the one that is nearer to fooled."""
    losses, gradients = torch.tensor([[0.0], [-1.0]]), torch.tensor([1.0, -1.0]).view(2, 1, 1, 1, 1)
    threat = ThreatModel.parse("linf:1")
    given = {"length": 1.0, "sharpness": 1.0}
    sigmoid = lambda value: 1 / (1 + math.exp(-value))  # noqa: E731
    first, second = ([sigmoid(a), sigmoid(b)] for a, b in ((0, -1), (0 + 1, -1 - 1)))
    one, two = (weights(losses, gradients, threat, em=rounds, **given).flatten() for rounds in (1, 2))
    assert one == pytest.approx([q / sum(first) for q in first])
    assert two == pytest.approx([q / sum(second) for q in second])


def test_the_weights_of_an_image_far_from_broken_do_not_vanish():
    losses, gradients = torch.tensor([[-1000.0], [-1000.2]]), torch.zeros(2, 1, 1, 1, 1)
    q = weights(losses, gradients, LINF, length=1.0, em=5, sharpness=5.0)
    assert q.flatten() == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))], rel=1e-3)


def test_diffhammer_weights_fresh_draws_and_carries_the_gradient_through_one_more():
    x, noise = images(1)
    defense = Recorder()
    model = defended(THREE, defense, chunk=100)
    diffhammer(model, x, torch.tensor([0]), L2, noise, steps=2, losses=("ce",), eot=4)
    compared = list(range(10))  # of a purpose of their own
    assert defense.seen == [[0, 1, 2, 3], [4], [5, 6, 7, 8], [9], compared]
    assert model.tally.of(0)["classifier_backward"] == 8


def test_diffhammer_lets_a_broken_image_rest_under_a_deterministic_defense():
    x, noise = images(1)
    model = defended(TWO, chunk=1)
    diffhammer(model, x, TWO(x).argmin(dim=1), L2, noise, losses=("cw", "ce"))
    assert model.tally.of(0)["classifier_backward"] == 1


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("diffhammer-arguments", {"steps": 0}),
        ("diffhammer-arguments", {"eot": 0}),
        ("diffhammer-arguments", {"em": 0}),
        ("diffhammer-arguments", {"sharpness": 0.0}),
        ("diffhammer-arguments", {"step_size": 0.0}),
        ("loss-unknown", {"losses": ("hinge",)}),
    ],
)
def test_diffhammer_refuses_arguments_out_of_range(code, arguments):
    x, noise = images()
    with refused(code):
        diffhammer(defended(THREE), x, torch.zeros(3, dtype=torch.long), L2, noise, **arguments)


def test_diffhammer_needs_three_classes_for_dlr():
    x, noise = images()
    with refused("loss-dlr-classes"):
        diffhammer(defended(TWO), x, torch.zeros(3, dtype=torch.long), L2, noise, losses=("dlr",))


class Slope(nn.Module):
    def forward(self, x):
        score = x.flatten(1).mean(dim=1)
        return torch.stack([score, -score], dim=1)


@pytest.mark.parametrize(
    ("attack", "options"),
    [
        (partial(cw, steps=60), {"threats": ("l2:0.5",)}),
        (diffhammer, {}),
        (partial(diffhammer, losses=("dlr",)), {}),
        (partial(diffhammer, steps=8), {"gradient": "bpda"}),
        (partial(transfer, classifier="slope", surrogate=Slope(), steps=3), {"gradient": "blind", "optimal": False}),
    ],
    ids=["cw", "diffhammer", "diffhammer-dlr", "diffhammer-bpda", "transfer"],
)
def test_the_attacks_honour_the_contract(attack, options):
    check_attack(attack, **options)


def test_the_conformance_kit_checks_the_named_threats_only():
    def in_l2(model, x, y, threat, noise):
        if threat.norm != "l2":
            raise UserError("l2 only")
        return pgd(model, x, y, threat, noise)

    assert THREATS == ("linf:8/255", "l2:0.5")
    check_attack(in_l2, threats=("l2:0.5",))
    with refused("contract-broken", match="l2 only"):
        check_attack(in_l2)
    with refused("kit-threats"):
        check_attack(in_l2, threats=())
