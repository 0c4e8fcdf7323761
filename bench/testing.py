"""The conformance kit: one call tells whether a defense or an attack honours the contract."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.ball import uniform_in_ball
from bench.claims.gradient import gradient_error, interior
from bench.claims.repetition import global_state, same_state
from bench.defended import DefendedClassifier
from bench.errors import BenchError, UserError
from bench.gradient import GradientMode
from bench.margin import margin
from bench.noise import ForbiddenNoise, Noise
from bench.protocols import Attack, Defense, Images
from bench.summary import EXACT
from bench.threat import ThreatModel
from bench.worker import check_in_ball

SAME = 1e-9
"""Largest difference, in float64, between results that should be equal but for the order of sums."""
THREATS = ("linf:8/255", "l2:0.5")
NEAR = 1.0
"""Margin of the images that an attack has to break."""


class ContractError(BenchError, AssertionError):
    """A defense or an attack breaks its contract; the text names every check that failed, and why."""


@dataclass(frozen=True)
class Check:
    """One check: its name, and what is wrong (empty if nothing is)."""

    name: str
    problem: str

    def __str__(self) -> str:
        return f"FAIL  {self.name}: {self.problem}" if self.problem else f"ok    {self.name}"


def check_defense(defense: Defense, *, images: Images | None = None) -> list[Check]:
    """Checks a purifier: shape, range, determinism, independence of the batch, global randomness, exact gradient.

    Arguments:
        defense: An instance, as the harness would build it.
        images: At least 4 images it can purify, float32 `(B, C, H, W)`; by default 28 x 28 grey ones.

    Returns:
        Every check, all without a problem.

    Raises:
        ContractError: At least one check failed.
    """
    _check_is_defense(defense)
    x = default_images() if images is None else images
    subject = _Defense(defense, x)
    return _verdict(
        type(defense).__name__,
        {
            "shape, dtype and range": subject.output,
            "input left alone": subject.input_unchanged,
            "determinism claim": subject.determinism,
            "independent of batch size, order and neighbours": subject.independence,
            "global randomness untouched": subject.global_randomness,
            "full gradient": subject.gradient,
        },
    )


def check_attack(
    attack: Attack,
    *,
    gradient: str = "full",
    optimal: bool = True,
    independent: bool = True,
    threats: tuple[str, ...] = THREATS,
) -> list[Check]:
    """Checks an attack: shape, ball, reproducibility, independence of the batch, and the optimum of a linear classifier.

    Arguments:
        attack: A function of (model, x, y, threat, noise), its other arguments filled in.
        gradient: The gradient mode it is meant for, a value of `GradientMode`.
        optimal: Whether it should find the known worst point of a linear classifier (not for null and random attacks).
        independent: Whether an image's result may not depend on its batch (wrapped attacks cannot promise that).
        threats: Threat models to check it under, at least one; only their norms count for the linear classifier.

    Returns:
        Every check, all without a problem.

    Raises:
        ContractError: At least one check failed.
    """
    subject = _Attack(attack, GradientMode(gradient), threats)
    checks: dict[str, Callable[[], str]] = {
        "shape, dtype, ball and [0, 1]": subject.ball,
        "input left alone": subject.input_unchanged,
        "same result twice": subject.reproducible,
        "global randomness untouched": subject.global_randomness,
    }
    if independent:
        checks["independent of batch size, order and neighbours"] = subject.independence
    if optimal:
        checks["optimum of a linear classifier"] = subject.optimum
    return _verdict(getattr(attack, "__name__", type(attack).__name__), checks)


def default_images(count: int = 6) -> Images:
    """Smooth random grey images of 28 x 28 with pixels from 0 to 1, some at either end; float32 `(count, 1, 28, 28)`."""
    noise = Noise(0, torch.arange(count), "check").normal(torch.empty(count, 1, 7, 7))
    return nn.functional.interpolate(noise, scale_factor=4, mode="bicubic").mul(0.4).add(0.5).clamp(0, 1)


def _check_is_defense(defense: object) -> None:
    if isinstance(defense, type):
        raise ContractError(
            f"expected an instance of a defense, got the class {defense.__name__}; call it: {defense.__name__}()"
        )
    lacking = [name for name in ("purify", "deterministic") if not hasattr(defense, name)]
    if lacking:
        raise ContractError(
            f"expected a defense with `purify(x, noise)` and `deterministic`, got {type(defense).__name__} without {' and '.join(lacking)}; add what is missing"
        )


def _verdict(name: str, checks: dict[str, Callable[[], str]]) -> list[Check]:
    results = [Check(check, _run(function)) for check, function in checks.items()]
    broken = [result for result in results if result.problem]
    if broken:
        raise ContractError(
            f"{name} breaks its contract: " + "; ".join(f"{item.name}: {item.problem}" for item in broken)
        )
    return results


def _run(function: Callable[[], str]) -> str:
    try:
        return function()
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"


class _Defense:
    def __init__(self, defense: Defense, x: Images) -> None:
        self.defense, self.x = defense, x
        self.double = _doubled(defense)
        self.noise = Noise(7, torch.arange(100, 100 + len(x)))

    def purify(self, x: Images, noise: Noise, *, double: bool = False) -> Images:
        if self.defense.deterministic:
            noise = ForbiddenNoise(noise.seed, noise.ids, noise.purpose, noise.draw)
        return (self.double if double else self.defense).purify(x, noise).detach()

    def output(self) -> str:
        y = self.purify(self.x, self.noise)
        if y.shape != self.x.shape or y.dtype != self.x.dtype:
            return f"expected {self.x.dtype} of shape {tuple(self.x.shape)}, got {y.dtype} of shape {tuple(y.shape)}"
        if not torch.isfinite(y).all():
            return "expected finite pixels, got NaN or infinity"
        return "" if y.min() >= 0 and y.max() <= 1 else f"expected pixels in [0, 1], got [{y.min():g}, {y.max():g}]"

    def input_unchanged(self) -> str:
        x = self.x.clone()
        self.purify(x, self.noise)
        return "" if torch.equal(x, self.x) else "expected the input to be left alone, got it changed in place"

    def determinism(self) -> str:
        first, second = self.purify(self.x, self.noise), self.purify(self.x, self.noise)
        if not torch.equal(first, second):
            return "expected the same output for the same draw, got another; draw from `noise` only"
        other = self.purify(self.x, self.noise.at(1))
        if not self.defense.deterministic and torch.equal(first, other):
            return "expected another output for another draw, got the same; claim `deterministic = True`"
        return ""

    def independence(self) -> str:
        x = self.x.double()
        return _independent(lambda rows: self.purify(x[rows], self.noise[rows], double=True), len(x))

    def global_randomness(self) -> str:
        return _global_randomness(lambda: self.purify(self.x, self.noise))

    def gradient(self) -> str:
        if not getattr(self.defense, "differentiable", True):
            return ""
        model = DefendedClassifier(_Linear(self.x[0].numel()), self.double, chunk=len(self.x))
        error = gradient_error(model, interior(self.x, self.noise), self.noise)
        return (
            ""
            if error < EXACT
            else f"expected a relative error below {EXACT:g} against a central difference, got {error:.1e}"
        )


class _Attack:
    """The subject attacks an undefended linear classifier, two of whose classes can win: its worst point is known in closed form."""

    def __init__(self, attack: Attack, mode: GradientMode, threats: tuple[str, ...]) -> None:
        self.attack, self.mode = attack, mode
        self.threats = [ThreatModel.parse(text) for text in threats]
        if not threats:
            raise UserError('expected at least one threat to check under, got none; write threats=("l2:0.5",)')
        self.x = default_images().double()
        self.inner = 0.3 + 0.4 * self.x
        self.classifier = _FourClasses(self.x[0].numel())
        self.y = self.classifier(self.inner).argmax(dim=1)
        self.noise = Noise(7, torch.arange(100, 100 + len(self.x)), "attack")

    def run(self, x: Images, y: Tensor, threat: ThreatModel, noise: Noise) -> Images:
        model = DefendedClassifier(self.classifier, _Undefended(), mode=self.mode, chunk=len(self.x))
        return self.attack(model, x, y, threat, noise)

    def ball(self) -> str:
        for threat in self.threats:
            for start in (self.x, uniform_in_ball(self.inner, threat, self.noise)):
                result = self.run(start, self.y, threat, self.noise)
                if result.shape != start.shape or result.dtype != start.dtype:
                    return f"expected {start.dtype} of shape {tuple(start.shape)}, got {result.dtype} of shape {tuple(result.shape)}"
                check_in_ball("it", result, start, threat, self.noise.ids)
        return ""

    def input_unchanged(self) -> str:
        x = self.x.clone()
        self.run(x, self.y, self.threats[0], self.noise)
        return "" if torch.equal(x, self.x) else "expected the input to be left alone, got it changed in place"

    def reproducible(self) -> str:
        first, second = (self.run(self.x, self.y, self.threats[0], self.noise) for _ in range(2))
        return (
            ""
            if torch.equal(first, second)
            else "expected the same result for the same noise, got another; draw from `noise` only"
        )

    def independence(self) -> str:
        threat = self.threats[0]
        return _independent(lambda rows: self.run(self.x[rows], self.y[rows], threat, self.noise[rows]), len(self.x))

    def global_randomness(self) -> str:
        return _global_randomness(lambda: self.run(self.x, self.y, self.threats[0], self.noise))

    def optimum(self) -> str:
        """In a ball one percent larger than every image's distance from the border between two classes, each has to break."""
        slope = self.classifier.weight[1] - self.classifier.weight[0]
        clean = margin(self.classifier(self.inner), self.y)
        toward = (1 - 2 * self.y)[:, None] * slope / slope.square().sum()
        near = self.inner + ((clean - NEAR)[:, None] * toward).view_as(self.inner)
        duals = {"linf": slope.abs().sum(), "l2": slope.norm(), "l1": slope.abs().max()}
        for norm, dual in ((norm, duals[norm]) for norm in dict.fromkeys(threat.norm for threat in self.threats)):
            threat = ThreatModel.parse(f"{norm}:{1.01 * NEAR / float(dual):.9f}")
            standing = margin(self.classifier(self.run(near, self.y, threat, self.noise)), self.y) >= 0
            if standing.any():
                return f"expected every image to break in a ball 1 % larger than needed under {norm}, got {int(standing.sum())} of {len(near)} standing"
        return ""


class _Linear(nn.Module):
    """Two classes, float64, weights from the fixed noise of this kit."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.weight = Noise(11, torch.arange(2), "check").normal(torch.empty(2, pixels, dtype=torch.float64))

    def forward(self, x: Images) -> Tensor:
        return (x.flatten(1) - 0.5) @ self.weight.T + torch.tensor([0.0, 3.0], dtype=x.dtype)


class _FourClasses(_Linear):
    """Two more classes, of constant logits so low that they never win, for losses that need three classes or four."""

    def forward(self, x: Images) -> Tensor:
        logits = super().forward(x)
        return torch.cat([logits, logits.new_tensor([-1000.0, -1001.0]).expand(len(x), 2)], dim=1)


class _Undefended:
    deterministic: ClassVar[bool] = True

    def purify(self, x: Images, noise: Noise) -> Images:
        return x


def _doubled(defense: Defense) -> Defense:
    """A copy whose networks compute in float64."""
    twin = copy.deepcopy(defense)
    for value in vars(twin).values():
        if isinstance(value, nn.Module):
            value.double()
    return twin


def _independent(function: Callable[[Tensor], Images], count: int) -> str:
    """Whether each row of `function(rows)` is the same alone, in another order and among other neighbours."""
    together = function(torch.arange(count))
    orders = {
        "alone": torch.tensor([1]),
        "reversed": torch.arange(count).flip(0),
        "among fewer": torch.arange(1, count, 2),
    }
    for name, rows in orders.items():
        difference = float((function(rows) - together[rows]).abs().max())
        if not difference <= SAME:
            return f"expected an image to give the same {name} as in its batch, got a difference of {difference:.1e}; sum per image, never over the batch"
    return ""


def _global_randomness(function: Callable[[], Images]) -> str:
    before = global_state()
    first = function()
    if not same_state(before, global_state()):
        return "expected the global random state to be left alone, got it changed; draw from `noise` only"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12345)  # noqa: TID251 - to see that it changes nothing
        second = function()
    return (
        ""
        if torch.equal(first, second)
        else "expected the same result under another global seed, got another; draw from `noise` only"
    )
