"""The conformance kit: one call tells whether a defense or an attack honours the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.cli.options import say
from bench.defended import check_signature
from bench.errors import BenchError, UserError
from bench.gradient import GradientMode
from bench.protocols import Attack, Defense, Images
from bench.testing.contract import AttackSubject, DefenseSubject, default_images
from bench.text.columns import folded

__all__ = ["THREATS", "Check", "ContractError", "check_attack", "check_defense", "default_images", "report"]

THREATS = ("linf:8/255", "l2:0.5")
INDEPENDENT = "independent of batch size, order and neighbours"
LEAD = len("FAIL  ")
LEAST = 4
"""Images, so that each has others beside it in every order."""
Rules = Mapping[str, tuple[Callable[[], str], tuple[str, ...]]]
"""By its name what each check measures, as what is wrong, and which others have to hold first."""


class ContractError(BenchError, AssertionError):
    """A defense or an attack breaks its contract; the text names every check that failed, and why.

    Arguments:
        text: The sentence.
        checks: Every check, if it came to checks.
    """

    exit_code = 1

    def __init__(self, text: str, checks: Sequence[Check] = ()) -> None:
        super().__init__(text)
        self.checks = list(checks)


@dataclass(frozen=True)
class Check:
    """One check: its name, and what is wrong (empty if nothing is).

    Arguments:
        name: What is checked.
        problem: What is wrong.
        after: The check whose failure made this one meaningless, so that it was not measured.
    """

    name: str
    problem: str
    after: str = ""

    def __str__(self) -> str:
        if self.after:
            return f"-     {self.name}: not measured, since this failed: {self.after}"
        return f"FAIL  {self.name}: {self.problem}" if self.problem else f"ok    {self.name}"


def report(check: Callable[..., list[Check]], subject: object, **options: Any) -> int:
    """Prints a line for each check, and gives the exit code of a script: `raise SystemExit(report(check_defense, Median()))`.

    A line begins with `ok`, with `FAIL` and says what is wrong, or with `-` where an earlier failure left nothing to measure.

    Arguments:
        check: `check_defense` or `check_attack`.
        subject: What it checks.
        options: Its other arguments.

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

    Arguments:
        defense: An instance, as the harness would build it.
        images: At least 4 images it can purify, float32 `(B, C, H, W)`; by default 28 x 28 grey ones.

    Returns:
        Every check, all without a problem.

    Raises:
        ContractError: At least one check failed.
        UserError: These are no such images.
    """
    _check_is_defense(defense)
    if images is not None:
        _check_are_images(images)
    subject = DefenseSubject(defense, images)
    images_first, claim_first = ("shape, dtype and range",), ("shape, dtype and range", "determinism claim")
    rules: Rules = {
        "shape, dtype and range": (subject.output, ()),
        "input left alone": (subject.input_unchanged, images_first),
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
        gradient: The gradient mode it is meant for, a value of `GradientMode`.
        optimal: Whether it should find the known worst point of a linear classifier (not for null and random attacks).
        independent: Whether an image's result may not depend on its batch (wrapped attacks cannot promise that).
        threats: Threat models to check it under, at least one; only their norms count for the linear classifier.

    Returns:
        Every check, all without a problem.

    Raises:
        ContractError: At least one check failed.
    """
    subject = AttackSubject(attack, GradientMode(gradient), threats)
    images_first = ("shape, dtype, ball and [0, 1]",)
    result_first = (*images_first, "same result twice")
    rules = {
        "shape, dtype, ball and [0, 1]": (subject.ball, ()),
        "input left alone": (subject.input_unchanged, images_first),
        "same result twice": (subject.reproducible, images_first),
        "global randomness untouched": (subject.global_randomness, result_first),
    }
    if independent:
        rules[INDEPENDENT] = (subject.independence, result_first)
    if optimal:
        rules["optimum of a linear classifier"] = (
            subject.optimum, (*result_first, *([INDEPENDENT] if independent else [])),
        )  # fmt: skip
    return _verdict(subject.name, rules)


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
    try:
        check_signature(type(defense).__name__, defense)  # type: ignore[arg-type]
    except UserError as error:
        raise ContractError(str(error)) from error


def _check_are_images(images: Images) -> None:
    shape, kind = tuple(getattr(images, "shape", ())), getattr(images, "dtype", type(images).__name__)
    if len(shape) != 4 or len(images) < LEAST or str(kind) != "torch.float32":
        raise UserError(
            f"expected images= of at least {LEAST} float32 images (B, C, H, W), got {kind} of shape {shape}; write torch.rand(6, 3, 32, 32)"
        )
    if not (images.min() >= 0 and images.max() <= 1):
        raise UserError(
            f"expected images= with pixels in [0, 1], got [{float(images.min()):g}, {float(images.max()):g}]; scale them"
        )


def _verdict(name: str, rules: Rules) -> list[Check]:
    """Every check, in order; a cause is told once, and what rests on it is left unmeasured."""
    found: dict[str, Check] = {}
    for check, (function, needs) in rules.items():
        broken = next((found[need] for need in needs if found[need].problem or found[need].after), None)
        found[check] = Check(check, "", broken.after or broken.name) if broken else Check(check, _run(function))
    results = list(found.values())
    failed = [f"{result.name}: {result.problem}" for result in results if result.problem]
    if failed:
        raise ContractError(f"{name} breaks its contract: {'; '.join(failed)}", results)
    return results


def _run(function: Callable[[], str]) -> str:
    try:
        return function()
    except BenchError as error:
        return str(error)
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
