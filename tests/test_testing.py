"""The conformance kit passes every built-in and catches a broken one of each kind."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import ClassVar

import pytest
import torch

from attacks import TABLE as ATTACKS
from attacks.pgd import pgd
from bench.ball import project, steepest
from bench.models.embedded import fashion_mnist_score_model
from bench.registry import Found, Registry
from bench.testing import ContractError, _FourClasses, check_attack, check_defense
from defenses import TABLE as DEFENSES

REGISTRY = Registry({"defenses": DEFENSES, "attacks": ATTACKS})


def build(name):
    target = REGISTRY.find("defenses", name).load()
    fields = {field.name for field in dataclasses.fields(target)}
    return target(**({"score": fashion_mnist_score_model()} if "score" in fields else {}))


@pytest.mark.parametrize("name", ["none", "dpsam", "denoise-once"])
def test_a_sound_defense_passes_every_check(name):
    """All built-in ones are checked on real images in test_defenses."""
    assert len(check_defense(build(name))) == 6


FAR_FROM_OPTIMAL = {"optimal": False}
WRAPPED = {"independent": False}
ATTACK_CHECKS = {
    "null": FAR_FROM_OPTIMAL,
    "random": FAR_FROM_OPTIMAL,
    "square": FAR_FROM_OPTIMAL,
    "cw": {"threats": ("l2:0.5",)},
    "transfer": {},
    **{name: WRAPPED for name, entry in ATTACKS.items() if entry.package},
}
ATTACK_ARGUMENTS = {
    "transfer": {"classifier": "itself", "surrogate": _FourClasses(28 * 28)},
    "autoattack-custom": {"attacks": ("apgd-ce", "fab")},
}
QUICKLY = {
    "square": {"queries": 200},
    "random": {"tries": 10},
    "cw": {"steps": 50},
    "autoattack-fast": {"steps": 20, "targets": 2, "queries": 50},
    "autoattack-custom": {"attacks": ("apgd-ce",)},
}
"""Arguments that make an attack short enough for every day."""
LONG = ("autoattack", "autoattack-plus", "autoattack-rand", "robustbench")
ATTACK_CASES = [pytest.param(name, {}, id=name, marks=pytest.mark.slow) for name in (*LONG, *QUICKLY)] + [
    pytest.param(name, QUICKLY.get(name, {}), id=f"{name}-quick" if name in QUICKLY else name)
    for name, entry in ATTACKS.items()
    if name not in LONG and not entry.family  # torchattacks' own are checked beside its adapter
]


@pytest.mark.parametrize(("name", "quickly"), ATTACK_CASES)
def test_every_built_in_attack_honours_the_contract(name, quickly):
    entry = ATTACKS[name]
    arguments = {**entry.args, **ATTACK_ARGUMENTS.get(name, {}), **quickly}
    attack = partial(Found("attacks", name, entry, "built-in").load(), **arguments)
    check_attack(attack, gradient=entry.gradient, **ATTACK_CHECKS.get(name, {}))


class Blur:
    """A sound deterministic purifier, which the broken ones below spoil in one place each."""

    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return (x + x.roll(1, dims=3)) / 2


class WrongShape(Blur):
    def purify(self, x, noise):
        return x[:, :, ::2]


class WrongDtype(Blur):
    def purify(self, x, noise):
        return x.to(torch.float16 if x.dtype == torch.float32 else torch.float32)


class OutOfRange(Blur):
    def purify(self, x, noise):
        return 2 * x - 0.5


class NotANumber(Blur):
    def purify(self, x, noise):
        return x / (x > 2)


class InPlace(Blur):
    def purify(self, x, noise):
        return x.mul_(0.5)


class Draws(Blur):
    def purify(self, x, noise):
        return (x + 0.1 * noise.normal(x)).clamp(0, 1)


class GlobalDraws(Blur):
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return (x + 0.1 * torch.randn(x.shape, dtype=x.dtype)).clamp(0, 1)


class NeverDraws(Blur):
    deterministic: ClassVar[bool] = False


class BatchMean(Blur):
    def purify(self, x, noise):
        return (x + x.mean(dim=0, keepdim=True)) / 2


class SlotNoise(Blur):
    def purify(self, x, noise):
        return x * torch.linspace(0.5, 1, len(x), dtype=x.dtype).view(-1, 1, 1, 1)


class HiddenDetach(Blur):
    def purify(self, x, noise):
        return (x + x.detach().roll(1, dims=3)) / 2


class Cut(Blur):
    def purify(self, x, noise):
        return super().purify(x.detach(), noise) + 0 * x


BROKEN_DEFENSES = [
    (WrongShape, "shape"), (WrongDtype, "dtype"), (OutOfRange, "range"), (NotANumber, "finite"), (InPlace, "in place"),
    (Draws, "drew from its noise"), (GlobalDraws, "same draw"), (NeverDraws, "another draw"), (BatchMean, "batch size"),
    (SlotNoise, "order"), (HiddenDetach, "full gradient"), (Cut, "full gradient"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "word"), BROKEN_DEFENSES)
def test_a_broken_defense_is_caught(broken, word):
    check_defense(Blur())
    with pytest.raises(ContractError, match=word):
        check_defense(broken())


def fgsm(model, x, y, threat, noise):
    """Optimal on a linear classifier."""
    _, _, gradient = model.differentiate(
        x, y, noise, lambda logits, y: logits.sum(dim=1) - 2 * logits.gather(1, y[:, None])[:, 0]
    )
    return project(x + threat.radius * steepest(gradient, threat), x, threat)


def leaves_the_ball(model, x, y, threat, noise):
    return (x + 2 * (fgsm(model, x, y, threat, noise) - x)).clamp(0, 1)


def leaves_the_range(model, x, y, threat, noise):
    return x + threat.radius * torch.ones_like(x) / x[0].numel() ** 0.5


def changes_its_input(model, x, y, threat, noise):
    return x.copy_(fgsm(model, x, y, threat, noise))


def draws_globally(model, x, y, threat, noise):
    return project(x + 0.001 * torch.randn(x.shape, dtype=x.dtype), x, threat)


def normalises_over_the_batch(model, x, y, threat, noise):
    step = fgsm(model, x, y, threat, noise) - x
    return project(x + step * (step / step.abs().max()).abs().mean(), x, threat)


def drops_the_shape(model, x, y, threat, noise):
    return x.flatten(1)


def goes_half_way(model, x, y, threat, noise):
    return x + (fgsm(model, x, y, threat, noise) - x) / 2


BROKEN_ATTACKS = [
    (leaves_the_ball, "ball"), (leaves_the_range, r"\[0, 1\]"), (changes_its_input, "in place"), (draws_globally, "global"),
    (normalises_over_the_batch, "batch"), (drops_the_shape, "shape"), (goes_half_way, "standing"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "word"), BROKEN_ATTACKS)
def test_a_broken_attack_is_caught(broken, word):
    check_attack(fgsm)
    with pytest.raises(ContractError, match=word):
        check_attack(broken)


def test_pgd_with_one_loss_reaches_the_optimum_too():
    check_attack(partial(pgd, losses=("ce",), steps=20))


class Silent:
    deterministic = True


@pytest.mark.parametrize(
    ("defense", "sentence"),
    [
        (Silent, r"expected an instance of a defense, got the class Silent; call it: Silent\(\)"),
        (Silent(), "got Silent without purify; add what is missing"),
        (None, "got NoneType without purify and deterministic; add"),
    ],
)
def test_what_is_no_defense_gets_one_sentence(defense, sentence):
    with pytest.raises(ContractError, match=sentence):
        check_defense(defense)
