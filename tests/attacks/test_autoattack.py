"""The reference code behind its adapter: the same figures as without it, keyed draws, flags as data, no trace left."""

from __future__ import annotations

import logging
import random  # noqa: TID251 - what foreign code uses
import sys
from typing import ClassVar

import numpy as np
import pytest
import torch
from pyautoattack import AutoAttack
from pyautoattack.checks import funcs
from refused import refused
from torch import nn

from attacks.autoattack import autoattack, work
from attacks.wrapped import global_seed
from bench.data.fashion_mnist import fashion_mnist
from bench.defended import DefendedClassifier
from bench.models.embedded import fashion_mnist_at
from bench.noise import Noise
from bench.pace import Pace
from bench.threat import ThreatModel
from defenses.identity import Identity

LINF = ThreatModel.parse("linf:24/255")
FIRST = ("apgd-ce",)


class Noisy:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return x + 0.05 * noise.normal(x)


class Linear(nn.Module):
    """Four classes, of which two can win."""

    def forward(self, x):
        score = 5 * (x.flatten(1) - 0.5) @ torch.linspace(-1, 1, x[0].numel(), dtype=x.dtype)
        return torch.stack([score, -score, score * 0 - 50, score * 0 - 51], dim=1)


class Softmax(Linear):
    def forward(self, x):
        return super().forward(x).softmax(dim=1)


class Flat(Linear):
    """No gradient reaches the image."""

    def forward(self, x):
        return super().forward(x).round() + 0 * x.flatten(1).sum(dim=1, keepdim=True)


@pytest.fixture(scope="module")
def fashion():
    data = fashion_mnist()
    x, y = torch.from_numpy(data.floats(slice(0, 30))), torch.from_numpy(data.labels[:30])
    model = DefendedClassifier(fashion_mnist_at(), Identity(), chunk=30)
    noise = Noise(0, torch.from_numpy(data.ids[:30]), "attack")
    rows = (model(x, noise).argmax(dim=1) == y).nonzero()[:, 0]
    return model, x[rows], y[rows], noise[rows]


def toy(classifier=None, defense=None, count=12, **arguments):
    """View, images in [.4, .6], labels, streams."""
    model = DefendedClassifier(classifier or Linear(), defense or Identity(), chunk=count, **arguments)
    noise = Noise(3, torch.arange(count), "attack")
    x = 0.4 + 0.2 * noise.of("check").uniform(torch.empty(count, 1, 4, 4))
    return model, x, Linear()(x).argmax(dim=1), noise


def plain(model, x, y, threat, seed, members):
    """The reference code without the adapter; its check of the network leaves tracing off, and coverage with it."""
    code = AutoAttack(
        model.network, norm="Linf", eps=threat.radius, version="custom", attacks=list(members), seed=seed, device="cpu"
    )
    with global_seed(seed):
        return code.run_standard_evaluation(x.clone(), y.clone(), batch_size=len(x))[0]


def right(model, x, y, noise):
    return model(x, noise).argmax(dim=1) == y


SLOW = [pytest.param(members, marks=pytest.mark.slow) for members in (("square",), ("fab-t",))]


@pytest.mark.parametrize("members", [FIRST, *SLOW])
def test_an_undefended_network_ends_as_without_the_adapter(members, fashion):
    """Other seeds, so other starts: at most one image in thirty ends otherwise."""
    model, x, y, noise = fashion
    if members == ("square",):
        x, y, noise = x[:8], y[:8], noise[:8]
    mine = autoattack(model, x, y, LINF, noise, version="custom", attacks=members)
    theirs = plain(model, x, y, LINF, 0, members)
    same = right(model, mine, y, noise) == right(model, theirs, y, noise)
    assert int((~same).sum()) <= 1
    assert model.said["claimed"] == (~right(model, mine, y, noise)).tolist()


def test_the_result_depends_on_nothing_but_the_shard():
    results = []
    for seed in (1, 2):
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002, TID251
        model, x, y, noise = toy(defense=Noisy())
        results.append(autoattack(model, x, y, LINF, noise, version="custom", attacks=FIRST))
    assert torch.equal(*results)


def test_nothing_global_is_left_changed():
    logger, seen = logging.getLogger("auto-attack"), sys.gettrace()
    handlers, level, counts = list(logger.handlers), logger.level, dict(funcs)

    def trace(frame, event, argument):
        return None

    sys.settrace(trace)
    try:
        before = str(random.getstate()), str(np.random.get_state()), torch.get_rng_state().tolist()  # noqa: NPY002
        model, x, y, noise = toy()
        autoattack(model, x, y, LINF, noise, version="custom", attacks=FIRST)
        after = str(random.getstate()), str(np.random.get_state()), torch.get_rng_state().tolist()  # noqa: NPY002
        kept = sys.gettrace()
    finally:
        sys.settrace(seen)
    assert before == after
    assert kept is trace
    assert (logger.handlers, logger.level, dict(funcs)) == (handlers, level, counts)


@pytest.mark.parametrize(
    ("classifier", "defense", "members", "flag"),
    [
        (Linear(), Noisy(), FIRST, "randomized"),
        (Softmax(), Identity(), FIRST, "softmax"),
        (Flat(), Identity(), ("apgd-dlr",), "zero gradient"),
    ],
)
def test_its_warnings_are_flags(classifier, defense, members, flag):
    model, x, y, noise = toy(classifier, defense)
    autoattack(model, x, y, ThreatModel.parse("linf:1/255"), noise, version="custom", attacks=members)
    assert all(flag in flags for flags in model.said["flags"])
    model, x, y, noise = toy()
    autoattack(model, x, y, ThreatModel.parse("linf:1/255"), noise, version="custom", attacks=members)
    assert not any(flag in flags for flags in model.said["flags"])


def test_an_image_that_only_looked_robust_is_attacked_all_the_same():
    """The reference hands back unchanged what one draw gets right, and spares what one gets wrong before any attack."""
    model, x, y, noise = toy(defense=Noisy(), count=24)
    threat = ThreatModel.parse("linf:5/255")
    end = autoattack(model, x, y, threat, noise, version="custom", attacks=FIRST)
    assert 5 < sum(model.said["claimed"]) < 19
    assert (end != x).flatten(1).any(dim=1).all()
    chance = model.sample(end, noise.of("score").spread(200)).argmax(dim=2) == y
    before = model.sample(x, noise.of("score").spread(200)).argmax(dim=2) == y
    assert chance.float().mean() < before.float().mean() - 0.05


def test_passes_are_counted_and_shared_out():
    model, x, y, noise = toy()
    autoattack(model, x, y, ThreatModel.parse("linf:1/2550"), noise, version="custom", attacks=FIRST)
    counts = [model.tally.of(sample) for sample in noise.ids.tolist()]
    said = work(deterministic=True, classes=4, version="custom", attacks=FIRST)
    backward = sum(count["classifier_backward"] for count in counts) / len(x)
    forward = sum(count["classifier_forward"] for count in counts) / len(x)
    assert backward == pytest.approx(said.gradients, rel=0.05)
    assert forward == pytest.approx(said.gradients + said.evaluations, rel=0.1)


def test_rows_without_ids_share_their_passes_although_only_some_images_break():
    model, x, y, noise = toy()
    autoattack(model, x, y, ThreatModel.parse("linf:3/255"), noise, version="custom", attacks=("apgd-ce", "apgd-dlr"))
    assert 0 < sum(model.said["claimed"]) < len(x)
    counts = [model.tally.of(sample)["classifier_backward"] for sample in noise.ids.tolist()]
    assert max(counts) - min(counts) <= 1


def test_published_costs_for_an_image_that_never_breaks():
    """7857 forwards and 1910 backwards under standard, 4042 and 4040 under rand, 10 classes."""
    standard = work(deterministic=True, classes=10, version="standard", attacks=())
    assert standard.gradients == 1910
    assert standard.gradients + standard.evaluations == pytest.approx(7857, rel=0.01)
    rand = work(deterministic=False, classes=10, version="rand", attacks=())
    assert (rand.gradients, rand.gradients + rand.evaluations) == (4040, pytest.approx(4042, rel=0.01))
    assert work(deterministic=True, classes=10, version="plus", attacks=()).gradients > 3 * standard.gradients


def test_progress_goes_from_its_first_step_to_its_end():
    shares = []
    model, x, y, noise = toy(pace=Pace(working=lambda done, standing: shares.append((done, standing))))
    autoattack(model, x, y, ThreatModel.parse("linf:1/2550"), noise, version="custom", attacks=("apgd-ce", "apgd-dlr"))
    done = [share for share, _ in shares]
    assert min(done) < 0.2
    assert done[-1] > 0.9
    assert shares[-1][1] == len(x)


@pytest.mark.parametrize(
    "arguments",
    [
        {"version": "quick"},
        {"version": "custom"},
        {"version": "custom", "attacks": ("pgd",)},
        {"version": "standard", "attacks": FIRST},
    ],
)
def test_what_it_does_not_know_is_refused(arguments):
    model, x, y, noise = toy()
    with refused("autoattack-version"):
        autoattack(model, x, y, LINF, noise, **arguments)


def test_too_few_classes_for_its_losses():
    class Two(Linear):
        def forward(self, x):
            return super().forward(x)[:, :2]

    model, x, y, noise = toy(Two())
    with refused("autoattack-classes", match="at least 3 .* apgd-dlr"):
        autoattack(model, x, y, LINF, noise, version="rand")
    with refused("autoattack-classes", match="at least 4 .* apgd-t"):
        autoattack(model, x, y, LINF, noise)
