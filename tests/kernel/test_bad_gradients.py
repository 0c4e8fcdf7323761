"""Whatever a defense hands back as gradient, no attack evaluates or returns an image that is not finite, and no image suffers from another's."""

from __future__ import annotations

import inspect
from fractions import Fraction
from typing import ClassVar

import pytest
import torch
from torch import nn

from attacks import TABLE
from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.registry.tables import make_registry
from bench.run.worker import check_in_ball
from bench.threat import ThreatModel

REGISTRY = make_registry()
CLASSES, COUNT, SIDE = 5, 8, 6
BAD = (1, 3, 6)
"""The images with bad gradients; the others are honest."""
THREATS = {norm: ThreatModel(norm, Fraction(eps)) for norm, eps in (("linf", "0.02"), ("l2", "0.1"), ("l1", "0.4"))}
NORMS = {"square": ("linf", "l2"), "cw": ("l2",), "autoattack-fast": ("linf", "l2")}
"""Where an attack does not take them all: Square in l1 is the reference code's alone."""
SHORT = {"steps": 5, "queries": 12, "tries": 5, "searches": 2, "eot": 2, "verdict": 2, "targets": 3, "em": 2}
WRAPPED = [name for name in TABLE if TABLE[name].package == "pyautoattack"]
OWN = [name for name in TABLE if not TABLE[name].package]
MEMBERS = ("apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "square")
STOCHASTIC = (
    "pgd-eot",
    "pgd-known",
    "apgd-eot",
    "square",
    "diffhammer-2024",
    "fixed-autoattack-2024",
    "autoattack-rand",
)
"""Attacks that are tried on a stochastic defense where time is short; all others on a deterministic one."""
KINDS = 10


def bad_rows(honest, kind, u):
    """Gradients of one kind, from honest ones and uniform numbers: NaN, infinities, zeros, denormals, and what overflows when squared or summed."""
    sign, some = (u - 0.5).sign(), u < 0.2
    made = (
        honest, honest * torch.nan, honest.where(~some, torch.nan), sign * torch.inf, honest.where(~some, sign * torch.inf),
        torch.where(u < 0.1, torch.nan, honest.where(~some, sign * torch.inf)), 0 * honest, 1e-42 * sign, 1e38 * sign,
        honest.where(~some, 3.4e38 * sign),
    )  # fmt: skip
    return torch.stack(made)[kind, torch.arange(len(kind))]


class Bad(torch.autograd.Function):
    """The identity, whose derivative is anything where `bad` says so."""

    @staticmethod
    def forward(ctx, x, bad, world):
        ctx.bad, ctx.world = bad, world
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        kind, u = ctx.world.draw(gradient)
        ctx.world.gradients += 1
        return torch.where(ctx.bad[:, None, None, None], bad_rows(gradient, kind, u), gradient), None, None


class World(nn.Module):
    """Purifier and classifier in one: tells bad images by their first pixel, and keeps what it was shown.

    Logits of bad images are sometimes huge and sometimes tied; what they are, and of which kind a gradient is, depends on
    the seed, the calls before and the row.
    """

    deterministic: ClassVar[bool] = True

    def __init__(self, seed, bad, *, deterministic=True):
        super().__init__()
        self.bad, self.deterministic = torch.tensor(bad, dtype=torch.long), deterministic
        self.gradients, self.strange = 0, 0
        self.chance = torch.Generator().manual_seed(seed)
        noise = Noise(0, torch.arange(CLASSES), "check")
        self.weight = noise.normal(torch.empty(CLASSES, 1, SIDE, SIDE))

    def draw(self, like):
        """A kind for each row, and uniform numbers of the shape of `like`."""
        kind = torch.randint(KINDS, (len(like),), generator=self.chance)
        return kind, torch.rand(like.shape, generator=self.chance)

    def purify(self, x, noise):
        x = self.seen(x)
        if not self.deterministic:
            x = x + 0.01 * noise.normal(x)
        marked = torch.isin(noise.ids, self.bad).to(x.dtype)
        return torch.cat([marked[:, None], x.flatten(1)[:, 1:]], dim=1).view_as(x)

    def forward(self, x):
        x, bad = self.seen(x), x[:, 0, 0, 0] > 0.5
        x = Bad.apply(x, bad, self)
        inner = torch.cat([torch.full_like(x.flatten(1)[:, :1], 0.5), x.flatten(1)[:, 1:]], dim=1)
        logits = ((inner - 0.5)[:, None] * self.weight.flatten(1)).sum(dim=2)
        kind, _ = self.draw(logits.detach())
        ordinary = kind > 2
        other = torch.stack((logits * 1e30, (logits * 1e38).clamp(-3e38, 3e38), logits * 0), dim=0)
        chosen = other[kind.clamp_max(2), torch.arange(len(kind))]
        return torch.where((bad & ~ordinary)[:, None], chosen, logits)

    def seen(self, x):
        """The images, whose values that are not finite are counted and replaced, so that the attack goes on."""
        finite = torch.isfinite(x.detach())
        self.strange += int((~finite).flatten(1).any(dim=1).sum())
        return torch.where(finite, x, 0.5)


def images(bad):
    """Images whose first pixel is 1 where they are bad, their labels and their streams."""
    noise = Noise(1, torch.arange(COUNT), "attack")
    x = (0.5 + 0.3 * noise.of("check").normal(torch.empty(COUNT, 1, SIDE, SIDE))).clamp(0, 1)
    x[:, 0, 0, 0] = 0
    y = World(0, ())(x).argmax(dim=1)
    x[list(bad), 0, 0, 0] = 1
    return x, y, noise


def attacked(name, threat, world, bad, **changes):
    """What a registered attack makes of the images in a world."""
    found = REGISTRY.find("attacks", "transfer:fashion-mnist-cnn" if name == "transfer" else name)
    function = found.load()
    takes = inspect.signature(function).parameters
    arguments = {**found.entry.args, **{key: value for key, value in SHORT.items() if key in takes}, **changes}
    if "losses" in takes:
        arguments["losses"] = ("cw", "ce", "dlr")
    if "surrogate" in takes:
        arguments |= {"surrogate": world, "classifier": "world"}
    x, y, noise = images(bad)
    known = 2 if found.entry.knowledge == "known" and not world.deterministic else 0
    model = DefendedClassifier(world, world, mode=GradientMode(found.entry.gradient), chunk=3, known=known)
    result = function(model, x, y, threat, noise, **arguments)
    finite = torch.isfinite(result).flatten(1).all(dim=1)
    world.strange += int((~finite).sum())
    check_in_ball(name, result[finite], x[finite], threat, noise.ids[finite])
    return result


def fuzzed(name, threat, seeds, defenses):
    """An attack under bad gradients, held against the same without; returns the number of gradients that it was given."""
    changes = {"attacks": MEMBERS} if name == "autoattack-custom" else {}
    kept = [row for row in range(COUNT) if row not in BAD]
    total, suffering, strange = 0, [], []
    for deterministic in defenses:
        honest = attacked(name, threat, World(0, (), deterministic=deterministic), (), **changes)
        for seed in seeds:
            world = World(seed, BAD, deterministic=deterministic)
            result = attacked(name, threat, world, BAD, **changes)
            what = f"seed {seed}, {'deterministic' if deterministic else 'stochastic'}"
            if not torch.equal(result[kept], honest[kept]):
                suffering.append(what)
            if world.strange:
                strange.append(f"{what}: {world.strange} images")
            total += world.gradients
    assert strange == []
    if name in OWN:  # foreign code puts the draws of one image on another as images leave
        assert suffering == []
    return total


@pytest.fixture
def short_reference(monkeypatch):
    """The reference code with few iterations, at the places where it keeps them."""
    import pyautoattack

    class Short(pyautoattack.AutoAttack):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            for part in (self.apgd, self.apgd_targeted, self.fab):
                part.n_iter, part.n_restarts = 10, 1
            self.apgd.eot_iter = min(self.apgd.eot_iter, 3)
            self.square.n_queries = 20

    monkeypatch.setattr(pyautoattack, "AutoAttack", Short)


def takes(name, norm):
    """Whether an attack is made for a norm."""
    return norm in NORMS.get(name, THREATS)


def test_every_registered_attack_is_fuzzed():
    assert {*OWN, *WRAPPED} == set(TABLE) - {"torchattacks"}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("norm", THREATS)
def test_own_attacks(name, norm):
    if takes(name, norm):
        fuzzed(name, THREATS[norm], [0], [name not in STOCHASTIC])


@pytest.mark.parametrize("name", ["autoattack-custom", "autoattack-rand"])
@pytest.mark.parametrize("norm", THREATS)
def test_the_reference_code(name, norm, short_reference):
    fuzzed(name, THREATS[norm], [0], [name not in STOCHASTIC])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_torchattacks(norm):
    pytest.importorskip("torchattacks")
    world = World(0, BAD)
    attacked("torchattacks:PGD" if norm == "linf" else "torchattacks:PGDL2", THREATS[norm], world, BAD)
    assert world.strange == 0


@pytest.mark.slow
def test_ten_thousand_steps(short_reference):
    total = 0
    for norm, threat in THREATS.items():
        for name in filter(lambda name: takes(name, norm), (*OWN, *WRAPPED)):
            defenses = [True] if TABLE[name].suits == "deterministic" else [True, False]
            total += fuzzed(name, threat, range(1, 3), defenses)
    print(total, "gradients")
    assert total > 10_000
