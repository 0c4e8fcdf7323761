"""AutoPGD and the ensemble: by hand, against their reference code on the same models, and what rests when."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from refused import refused
from torch import nn

from attacks.apgd import apgd, work
from attacks.ensemble import ensemble
from attacks.ensemble import work as work_of_all
from bench.data.fashion_mnist import fashion_mnist
from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.losses import toward_target
from bench.margin import margin
from bench.models.embedded import fashion_mnist_at, fashion_mnist_classifier, fashion_mnist_score_model
from bench.noise import Noise
from bench.pace import Work
from bench.threat import ThreatModel
from defenses.identity import Identity
from defenses.tweedie import Tweedie

LINF, L2 = ThreatModel.parse("linf:8/255"), ThreatModel.parse("l2:0.5")
COUNT = 40


class Noisy:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return x + 0.1 * noise.normal(x)


class Linear(nn.Module):
    """Margin of class 0 is 2 w.x for w = (1, -1, 1, -1), shifted; two more classes never win."""

    def forward(self, x):
        score = (x.flatten(1) - 0.5) @ x.new_tensor([1.0, -1.0, 1.0, -1.0])
        return torch.stack([score + 0.01, -score, score * 0 - 50, score * 0 - 51], dim=1)


class Toward(nn.Module):
    """Class k wins where pixel k is largest; pixel 3 counts half."""

    def forward(self, x):
        return x.flatten(1) * x.new_tensor([1.0, 1.0, 1.0, 0.5])


@pytest.fixture(scope="module")
def views():
    """Three models, each with its threats: undefended, adversarially trained, purified by one denoiser pass."""
    classifier, score = fashion_mnist_classifier(), fashion_mnist_score_model()
    return {
        "undefended": DefendedClassifier(classifier, Identity(), chunk=COUNT),
        "robust": DefendedClassifier(fashion_mnist_at(), Identity(), chunk=COUNT),
        "purified": DefendedClassifier(classifier, Tweedie(score=score), chunk=COUNT),
    }


def right(model, count=COUNT):
    data = fashion_mnist()
    x, y = torch.from_numpy(data.floats(slice(0, count))), torch.from_numpy(data.labels[:count])
    noise = Noise(0, torch.from_numpy(data.ids[:count]), "attack")
    rows = (model(x, noise).argmax(dim=1) == y).nonzero()[:, 0]
    return x[rows], y[rows], noise[rows]


def standing(model, x, y, noise):
    return int((model(x, noise).argmax(dim=1) == y).sum())


@pytest.mark.parametrize("name", ["undefended", "robust", "purified"])
@pytest.mark.parametrize("text", ["linf:12/255", "l2:1"])
def test_it_is_no_weaker_than_its_reference_code(name, text, views):
    """30 steps on cross-entropy; at most two images in forty may end otherwise, as starts differ."""
    model, threat = views[name], ThreatModel.parse(text)
    x, y, noise = right(model)
    other = APGDAttack(
        lambda z: model(z, noise[: len(z)]), n_iter=30, norm={"linf": "Linf", "l2": "L2"}[threat.norm], eps=threat.radius,
        loss="ce", seed=0, device="cpu",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        theirs = other.perturb(x.clone(), y.clone())
    mine = apgd(model, x, y, threat, noise, steps=30, loss="ce")
    assert standing(model, mine, y, noise) <= standing(model, theirs, y, noise) + 2


def test_the_targeted_one_is_no_weaker_than_its_reference_code(views):
    model, threat = views["robust"], ThreatModel.parse("linf:24/255")
    x, y, noise = right(model)
    other = APGDAttack_targeted(
        model.network, n_iter=20, norm="Linf", eps=threat.radius, seed=0, device="cpu", n_target_classes=3
    )
    with torch.random.fork_rng(devices=[]):
        theirs = other.perturb(x.clone(), y.clone())
    mine = apgd(model, x, y, threat, noise, steps=20, loss="target", targets=3)
    assert standing(model, mine, y, noise) <= standing(model, theirs, y, noise) + 1


def test_the_targeted_ratio_by_hand():
    logits = torch.tensor([[4.0, 3.0, 2.0, 0.0, -9.0]])
    assert toward_target(logits, torch.tensor([[0, 1]])).item() == pytest.approx((3 - 4) / (4 - (2 + 0) / 2))
    assert toward_target(logits[:, :3], torch.tensor([[0, 2]])).item() == -2


class Bowl(nn.Module):
    """The margin is smallest at a point inside the ball."""

    bottom = (0.512, 0.503, 0.489, 0.519)

    def forward(self, x):
        margin = 1 + (x.flatten(1) - x.new_tensor(self.bottom)).square().sum(dim=1)
        return torch.stack([margin, 0 * margin, 0 * margin - 50], dim=1)


def test_steps_shorten_where_they_overshoot():
    x = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    model = DefendedClassifier(Bowl(), Identity(), chunk=1)
    end = apgd(model, x, torch.tensor([0]), LINF, Noise(0, torch.tensor([5]), "attack"), loss="cw")
    assert end.flatten().tolist() == pytest.approx(Bowl.bottom, abs=1e-3)


def test_targets_are_the_likeliest_wrong_classes():
    """One target: pixel 1, the second largest, is raised; pixel 2 stays below it."""
    x = torch.tensor([0.9, 0.8, 0.1, 0.1], dtype=torch.float64).view(1, 1, 2, 2)
    model = DefendedClassifier(Toward(), Identity(), chunk=1)
    threat, noise = ThreatModel.parse("linf:0.04"), Noise(0, torch.tensor([5]), "attack")
    end = apgd(model, x, torch.tensor([0]), threat, noise, loss="target", targets=1, start="zero").flatten()
    assert end[:2].tolist() == pytest.approx([0.86, 0.84])


def test_a_broken_image_rests():
    """Image 0 falls at its start, image 1 never."""
    x = torch.tensor([[0.5, 0.52, 0.5, 0.52], [0.9, 0.1, 0.9, 0.1]]).view(2, 1, 2, 2)
    model = DefendedClassifier(Linear(), Identity(), chunk=2)
    apgd(model, x, torch.tensor([0, 0]), LINF, Noise(0, torch.tensor([7, 8])), steps=10, start="zero")
    assert [model.tally.of(k)["classifier_backward"] for k in (7, 8)] == [1, 11]


@pytest.mark.parametrize(
    "arguments", [{}, {"restarts": 2}, {"loss": "target", "targets": 3}, {"start": "wide"}, {"budget": 40}]
)
def test_the_formula_counts_what_is_done(arguments):
    x = torch.tensor([0.9, 0.1, 0.9, 0.1]).view(1, 1, 2, 2)
    for defense, draws in ((Identity(), {}), (Noisy(), {"eot": 2})):
        model = DefendedClassifier(Linear(), defense, chunk=1)
        given = {"steps": 10, "restarts": 1, "loss": "ce", "targets": 9, "eot": 1, "budget": None} | arguments | draws
        apgd(model, x, torch.tensor([0]), LINF, Noise(0, torch.tensor([7])), **given)
        said, done = work(deterministic=defense.deterministic, classes=4, **given), model.tally.of(7)
        assert done["classifier_backward"] == said.gradients
        assert done["classifier_forward"] == said.gradients + said.evaluations


def test_no_image_rests_under_fresh_draws_and_the_end_is_confirmed():
    x = torch.full((2, 1, 2, 2), 0.5)
    model = DefendedClassifier(Linear(), Noisy(), chunk=2)
    apgd(model, x, torch.tensor([0, 0]), LINF, Noise(0, torch.tensor([7, 8])), steps=3, eot=4)
    assert [model.tally.of(k)["classifier_backward"] for k in (7, 8)] == [16, 16]


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("apgd-arguments", {"steps": 0}),
        ("apgd-arguments", {"restarts": 0}),
        ("apgd-arguments", {"targets": 0}),
        ("apgd-arguments", {"eot": 0}),
        ("apgd-loss", {"loss": "hinge"}),
        ("apgd-loss", {"start": "far"}),
        ("apgd-budget", {"budget": 5}),
    ],
)
def test_arguments_out_of_range_are_refused(code, arguments):
    x, model = torch.full((1, 1, 2, 2), 0.5), DefendedClassifier(Linear(), Identity(), chunk=1)
    with refused(code):
        apgd(model, x, torch.tensor([0]), LINF, Noise(0, torch.tensor([7])), **arguments)


def test_members_run_on_what_the_ones_before_left_standing(views):
    model = views["undefended"].view(GradientMode.FULL)
    x, y, noise = right(model, 30)
    end = ensemble(model, x, y, ThreatModel.parse("linf:6/255"), noise, steps=10, targets=2, queries=50)
    names, still = model.said["fallen_to"], model(end, noise).argmax(dim=1) == y
    assert [name is None for name in names] == still.tolist()
    assert {"apgd-ce", None} <= set(names)


def test_an_ensemble_is_as_strong_as_each_member(views):
    model, threat = views["robust"], ThreatModel.parse("linf:24/255")
    x, y, noise = right(model, 40)
    members = ("apgd-ce", "apgd-dlr", "apgd-cw")
    ends = [ensemble(model, x, y, threat, noise, members=(name,), steps=10) for name in members]
    together = ensemble(model, x, y, threat, noise, members=members, steps=10)
    assert standing(model, together, y, noise) <= min(standing(model, end, y, noise) for end in ends)


def test_an_image_stands_while_one_of_the_fresh_draws_is_right():
    """Noise of .1 on a margin near 0: half of the draws are wrong, and both members run on both images to the end."""
    x = torch.full((2, 1, 2, 2), 0.5)
    model = DefendedClassifier(Linear(), Noisy(), chunk=2)
    tiny = ThreatModel.parse("linf:0.0001")
    ensemble(
        model,
        x,
        torch.tensor([0, 0]),
        tiny,
        Noise(0, torch.tensor([7, 8])),
        members=("apgd-ce", "apgd-cw"),
        steps=3,
        eot=2,
    )
    assert model.said["fallen_to"] == [None, None]
    assert model.tally.of(7)["classifier_backward"] == 2 * 2 * 4


def test_the_formula_of_an_ensemble_is_the_sum_of_its_members():
    arguments = {"steps": 10, "targets": 2, "queries": 50, "eot": 3}
    said = work_of_all(deterministic=True, classes=10, members=("apgd-ce", "apgd-t", "square"), verdict=20, **arguments)
    assert said == Work(evaluations=3 + 1 + 50, gradients=11 + 2 * 11)


@pytest.mark.parametrize("arguments", [{"members": ()}, {"members": ("fab",)}, {"verdict": 0}])
def test_an_ensemble_refuses_what_it_does_not_know(arguments):
    x, model = torch.full((1, 1, 2, 2), 0.5), DefendedClassifier(Linear(), Identity(), chunk=1)
    with refused("ensemble-arguments"):
        ensemble(model, x, torch.tensor([0]), LINF, Noise(0, torch.tensor([7])), **arguments)


def test_margins_of_what_stands_are_those_of_the_best_point(views):
    model = views["robust"]
    x, y, noise = right(model, 20)
    few, many = (margin(model(apgd(model, x, y, LINF, noise, steps=k), noise), y) for k in (3, 30))
    both = (few >= 0) & (many >= 0)
    assert (many[both] <= few[both] + 1e-3).all()
