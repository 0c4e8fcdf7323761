"""The conformance kit passes every built-in and catches a broken one of each kind."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from typing import ClassVar

import pytest
import torch
from refused import refused

from attacks import TABLE as ATTACKS
from attacks.pgd import pgd
from bench.ball import project, steepest
from bench.models.embedded import fashion_mnist_score_model
from bench.registry.registry import Found, Registry
from bench.testing import ContractError, check_attack, check_defense, report
from bench.testing.classifiers import FourClasses
from defenses import TABLE as DEFENSES

REGISTRY = Registry({"defenses": DEFENSES, "attacks": ATTACKS})


def build(name):
    target = REGISTRY.find("defenses", name).load()
    fields = {field.name for field in dataclasses.fields(target)}
    quickly = {"steps": 2, "bank": 2} if name == "dpsam" else {}
    return target(**({"score": fashion_mnist_score_model()} if "score" in fields else {}), **quickly)


@pytest.mark.parametrize("name", ["none", "dpsam", "denoise-once"])
def test_a_sound_defense_passes_every_check(name):
    """All built-in ones are checked on real images in test_defenses."""
    assert len(check_defense(build(name))) == 7


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
    "transfer": {"classifier": "itself", "surrogate": FourClasses(28 * 28)},
    "autoattack-custom": {"attacks": ("apgd-ce", "fab")},
}
QUICKLY = {
    **{name: {"steps": 20} for name in ("apgd-ce", "apgd-dlr", "apgd-t", "apgd-eot", "fixed-autoattack-2024")},
    "lee-kim-2023": {"steps": 40},
    "diffhammer-2024": {"steps": 8},
    "square": {"queries": 200},
    "random": {"tries": 10},
    "cw": {"steps": 50, "searches": 3},
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
    (Draws, "a draw from its noise"), (GlobalDraws, "same draw"), (NeverDraws, "another draw"), (BatchMean, "batch size"),
    (SlotNoise, "order"), (HiddenDetach, "full gradient"), (Cut, "full gradient"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "word"), BROKEN_DEFENSES)
def test_a_broken_defense_is_caught(broken, word):
    check_defense(Blur())
    with refused("contract-broken", kind=ContractError, match=word):
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
    (normalises_over_the_batch, "batch"), (drops_the_shape, "shape"), (goes_half_way, "unbroken"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "word"), BROKEN_ATTACKS)
def test_a_broken_attack_is_caught(broken, word):
    check_attack(fgsm)
    with refused("contract-broken", kind=ContractError, match=word):
        check_attack(broken)


def test_pgd_with_one_loss_reaches_the_optimum_too():
    check_attack(partial(pgd, losses=("ce",), steps=20))


class NoGraph(Blur):
    def purify(self, x, noise):
        return super().purify(x.detach(), noise)


class Rounds(Blur):
    def purify(self, x, noise):
        return torch.round(x * 15) / 15


class Compares(Blur):
    def purify(self, x, noise):
        return (x > 0.5).to(x.dtype) + 0 * x


class NoReturn(Blur):
    def purify(self, x, noise):
        super().purify(x, noise)


class NoImages(Blur):
    def purify(self):
        return None


SHAPE, INPUT, CLAIM, ALONE, GLOBAL, FINITE, SLOPE = (
    "shape, dtype and range", "input left alone", "determinism claim",
    "independent of batch size, order and neighbours", "global randomness untouched", "finite gradient", "full gradient",
)  # fmt: skip
NAMES = (SHAPE, INPUT, CLAIM, ALONE, GLOBAL, FINITE, SLOPE)
CAUSES = [
    (Blur, [], [], ""),
    (WrongShape, [SHAPE], NAMES[1:], "got torch.float32 of shape (6, 1, 14, 28); keep shape and dtype"),
    (WrongDtype, [SHAPE], NAMES[1:], "got torch.float16 of shape (6, 1, 28, 28); keep shape and dtype"),
    (OutOfRange, [SHAPE], NAMES[1:], "expected pixels in [0, 1], got [-0.5, 1.5]; clamp them"),
    (NoReturn, [SHAPE], NAMES[1:], "expected purify to return images, got NoneType; return them"),
    (InPlace, [INPUT], [FINITE, SLOPE], "got it changed in place; do not write into x: x = x * 0.5, not x *= 0.5"),
    (Draws, [CLAIM], [ALONE, GLOBAL, FINITE, SLOPE], "a draw from its noise; set `deterministic = False`, or do not draw"),
    (GlobalDraws, [CLAIM], [ALONE, GLOBAL, FINITE, SLOPE], "got another, and the global random state changed, as torch.randn changes it; draw from `noise` only"),
    (NeverDraws, [CLAIM], [ALONE, GLOBAL, FINITE, SLOPE], "got the same; claim `deterministic = True`"),
    (BatchMean, [ALONE], [SLOPE], "sum per image, never over the batch"),
    (HiddenDetach, [SLOPE], [], "against a central difference, got "),
    (Rounds, [SLOPE], [], "got zero in every pixel on 6 of 6 images, which rounding, comparisons and clipping cause"),
    (Compares, [SLOPE], [], "got zero in every pixel on 6 of 6 images"),
    (NoGraph, [SLOPE], [], "expected a gradient through purify, got none: nothing leads from its output back to x, which detach, no_grad, .data, numpy "
     "and integers cut; keep the graph, or say `differentiable = False`"),
]  # fmt: skip


def words(text):
    """The words of lines that were folded."""
    return " ".join(text.split())


@pytest.mark.parametrize(("defense", "failed", "open", "cause"), CAUSES)
def test_the_report_says_the_cause_once_and_what_it_left_unmeasured(defense, failed, open, cause, capsys):
    assert report(check_defense, defense()) == bool(failed)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    lines = [words(line) for line in re.split(r"\n(?=\S)", out.rstrip("\n"))]
    assert len(lines) == len(NAMES)
    for name, line in zip(NAMES, lines, strict=True):
        if name in failed:
            assert line.startswith(f"FAIL {name}: ")
            assert cause in line
        else:
            assert line == (f"- {name}: not measured, since this failed: {failed[0]}" if name in open else f"ok {name}")


def test_the_error_holds_the_checks_and_names_the_causes_alone():
    with refused("contract-broken", kind=ContractError) as caught:
        check_defense(GlobalDraws())
    assert [check.name for check in caught.value.checks] == list(NAMES)
    assert "determinism claim" in str(caught.value)
    assert "full gradient" not in str(caught.value)


def test_the_report_of_an_attack(capsys):
    assert report(check_attack, fgsm, optimal=False) == 0
    assert capsys.readouterr().out.count("ok    ") == 5
    assert report(check_attack, draws_globally) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == ["ok", "ok", "FAIL", "-", "-", "-"]
    assert report(check_attack, leaves_the_ball) == 1
    out = words(capsys.readouterr().out)
    assert (
        "FAIL shape, dtype, ball and [0, 1]: expected the attack leaves_the_ball to stay in the ball linf:8/255" in out
    )
    assert out.count("- ") == 5


def test_the_report_of_what_is_no_defense_or_asks_for_nothing_is_one_line(capsys):
    assert report(check_defense, Blur) == 1
    assert words(capsys.readouterr().out) == (
        "FAIL expected an instance of a defense, got the class Blur; call it: Blur()"
    )
    assert report(check_defense, NoImages()) == 1
    assert words(capsys.readouterr().out) == (
        "FAIL expected NoImages.purify to take (x, noise), got purify(); write def purify(self, x, noise), or purify(self, x)"
    )
    assert report(check_attack, fgsm, threats=()) == 2
    assert capsys.readouterr().out.startswith("FAIL  expected at least one threat to check under, got none; write")


class Silent:
    deterministic = True


@pytest.mark.parametrize(
    ("defense", "code"),
    [
        (Silent, "kit-class"),
        (Silent(), "kit-incomplete"),
        (None, "kit-incomplete"),
    ],
)
def test_what_is_no_defense_gets_one_sentence(defense, code):
    with refused(code, kind=ContractError):
        check_defense(defense)
