"""The conformance kit: one call checks whether a defense or an attack honours its contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.cli.options import say
from bench.errors import BenchError, UserError
from bench.gradient import GradientMode
from bench.keyed import taking_noise
from bench.protocols import Attack, Defense, Images
from bench.testing.attack import AttackSubject
from bench.testing.defense import DefenseSubject
from bench.testing.images import default_images
from bench.text.columns import folded

__all__ = ["THREATS", "Check", "ContractError", "check_attack", "check_defense", "default_images", "report"]

THREATS = ("linf:8/255", "l2:0.5")
INDEPENDENT = "independent of batch size, order and neighbours"
LEAD = len("FAIL  ")
LEAST = 4
"""Fewest images: each then has neighbours in every batch that is tried."""
Rules = Mapping[str, tuple[Callable[[], str], tuple[str, ...]]]
"""For each check by name: a function that returns what is wrong, and the checks that must hold first."""


class ContractError(BenchError, AssertionError):
    """A defense or an attack breaks its contract; the text names every check that failed, and why.

    Arguments:
        code: The code of the error, or the message itself.
        checks: The results of all checks; empty if none was run.
        values: Values of the placeholders in the sentence.
    """

    exit_code = 1

    def __init__(self, code: str, checks: Sequence[Check] = (), **values: object) -> None:
        super().__init__(code, **values)
        self.checks = list(checks)


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Arguments:
        name: What is checked.
        problem: What is wrong; empty if nothing is.
        after: The failed check that made this one meaningless, so that it was not measured.
    """

    name: str
    problem: str
    after: str = ""

    def __str__(self) -> str:
        if self.after:
            return f"-     {self.name}: not measured, since this failed: {self.after}"
        return f"FAIL  {self.name}: {self.problem}" if self.problem else f"ok    {self.name}"


def report(check: Callable[..., list[Check]], subject: object, **options: Any) -> int:
    """Prints a line for each check and returns the exit code of a script: `raise SystemExit(report(check_defense, Median()))`.

    A line begins with `ok`, with `FAIL` and the problem, or with `-` if an earlier failure made the check meaningless.

    Arguments:
        check: `check_defense` or `check_attack`.
        subject: The defense or the attack.
        options: Other arguments of `check`.

    Returns:
        0 if every check holds, else 1; 2 if an option is wrong.
    """
    try:
        lines, code = [str(found) for found in check(subject, **options)], 0
    except BenchError as error:
        checks = error.checks if isinstance(error, ContractError) else []
        lines, code = [str(found) for found in checks] or [f"FAIL  {error}"], error.exit_code
    say("\n".join(folded(line[:LEAD], line[LEAD:]) for line in lines))
    return code


def check_defense(defense: Defense, *, images: Images | None = None) -> list[Check]:
    """Checks a purifier: shape, range, determinism, independence of the batch, global randomness, a gradient that is finite, exact and not zero.

    A stochastic purifier that draws from torch, NumPy or Python is checked with its draws keyed, as it would run.

    Arguments:
        defense: An instance, as the harness would build it.
        images: At least 4 images that it can purify, float32 `(B, C, H, W)` in [0, 1]; by default 28 x 28 grey ones.

    Returns:
        The results of all checks, none with a problem.

    Raises:
        ContractError: At least one check failed.
        UserError: `images` are too few, or have another shape, dtype or range.
    """
    _check_is_defense(defense)
    if images is not None:
        _check_are_images(images)
    subject = DefenseSubject(defense, images)
    images_first, claim_first = ("shape, dtype and range",), ("shape, dtype and range", "determinism claim")
    rules: Rules = {
        "shape, dtype and range": (subject.output, ()),
        "input left alone": (subject.leaves_input_unchanged, images_first),
        "determinism claim": (subject.determinism, images_first),
        INDEPENDENT: (subject.independence, claim_first),
        "global randomness untouched": (subject.global_randomness, claim_first),
        "finite gradient": (subject.finite_gradient, (*claim_first, "input left alone")),
        "full gradient": (subject.gradient, (*claim_first, "input left alone", INDEPENDENT)),
    }
    return _verdict(type(defense).__name__, rules)


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
        gradient: The gradient mode that it is meant for, a value of `GradientMode`.
        optimal: Whether it should find the known worst point of a linear classifier (not for null and random attacks).
        independent: Whether an image's result must not depend on its batch (wrapped attacks cannot promise that).
        threats: Threat models to check it under, at least one; for the linear classifier only their norms count.

    Returns:
        The results of all checks, none with a problem.

    Raises:
        ContractError: At least one check failed.
    """
    subject = AttackSubject(attack, GradientMode(gradient), threats)
    images_first = ("shape, dtype, ball and [0, 1]",)
    result_first: tuple[str, ...] = (*images_first, "same result twice")
    rules: dict[str, tuple[Callable[[], str], tuple[str, ...]]] = {
        "shape, dtype, ball and [0, 1]": (subject.ball, ()),
        "input left alone": (subject.leaves_input_unchanged, images_first),
        "same result twice": (subject.reproducible, images_first),
        "global randomness untouched": (subject.global_randomness, result_first),
    }
    if independent:
        rules[INDEPENDENT] = (subject.independence, result_first)
        result_first = (*result_first, INDEPENDENT)
    if optimal:
        rules["optimum of a linear classifier"] = (subject.optimum, result_first)
    return _verdict(subject.name, rules)


def _check_is_defense(defense: object) -> None:
    if isinstance(defense, type):
        raise ContractError("kit-class", name=defense.__name__)
    missing = [name for name in ("purify", "deterministic") if not hasattr(defense, name)]
    if missing:
        raise ContractError("kit-incomplete", kind=type(defense).__name__, missing=" and ".join(missing))
    try:
        taking_noise(defense)  # type: ignore[arg-type]
    except UserError as error:
        broken = ContractError(error.message)
        broken.code = error.code
        raise broken from error


def _check_are_images(images: Images) -> None:
    shape, kind = tuple(getattr(images, "shape", ())), getattr(images, "dtype", type(images).__name__)
    if len(shape) != 4 or len(images) < LEAST or str(kind) != "torch.float32":
        raise UserError("kit-images-shape", least=LEAST, kind=kind, shape=shape)
    if not (images.min() >= 0 and images.max() <= 1):
        raise UserError("kit-images-range", low=float(images.min()), high=float(images.max()))


def _verdict(name: str, rules: Rules) -> list[Check]:
    """Runs the checks in order; a check that needs a failed one is not measured."""
    found: dict[str, Check] = {}
    for check, (function, needs) in rules.items():
        broken = next((found[need] for need in needs if found[need].problem or found[need].after), None)
        found[check] = Check(check, "", broken.after or broken.name) if broken else Check(check, _run(function))
    results = list(found.values())
    failed = [f"{result.name}: {result.problem}" for result in results if result.problem]
    if failed:
        raise ContractError("contract-broken", results, name=name, failed="; ".join(failed))
    return results


def _run(function: Callable[[], str]) -> str:
    try:
        return function()
    except BenchError as error:
        return str(error)
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
