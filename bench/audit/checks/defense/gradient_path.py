"""The gradient is known to be exact, and neither vanishes nor explodes along the purifier's steps.

If the run's attack takes full gradients, and the check before the run could not measure whether they are exact, the number is
suspect: the attack may have followed another function.

For a purifier with an argument `steps`, `g_k` is the gradient of the margin at the images through its first `k` steps. Reported
are the median norm of each `g_k` over that of the shortest, and the share of pixels whose sign agrees with the `k` before.
`||g_K|| / ||g_1||` has to lie in [1e-3, 1e3]: outside, float32 loses the signs that the attack steps along, and checkpoints or
adjoints may be wrong for many steps although they are right for a few.

References:
    Robust Evaluation of Diffusion-Based Adversarial Purification (Lee, Kim, 2023)
    https://arxiv.org/abs/2303.09051
    Obfuscated Gradients Give a False Sense of Security (Athalye, Carlini, Wagner, 2018)
    https://arxiv.org/abs/1802.00420
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from bench.audit.finding import PASS, SUSPECT, Finding
from bench.audit.price import Load
from bench.audit.subject import Subject
from bench.gradient import GradientMode
from bench.losses import carlini_wagner
from bench.pace import Work
from bench.records.claim import gradient_open

RANGE = (1e-3, 1e3)
IMAGES, PLACES = 16, 4
UNMEASURED = "It could not be measured before the run whether the gradient is exact, so that it may be wrong; let the defense compute in float64, or compare with BPDA and score-based attacks."


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    if not subject.differentiable:
        return "the defense has no gradient of its own"
    return "" if _unmeasured(subject) else _no_path(subject)


def _unmeasured(subject: Subject) -> bool:
    """Whether the run used a gradient whose exactness could not be measured."""
    return subject.planned.gradient is GradientMode.FULL and gradient_open(subject.run.header.checks)


def _no_path(subject: Subject) -> str:
    """Why there are no steps to follow; empty if there are."""
    defense = subject.planned.make_defense(subject.planned.score)
    if not (is_dataclass(defense) and any(part.name == "steps" for part in fields(defense))):
        return "the purifier has no argument `steps`"
    return "" if len(_places(defense.steps)) > 1 else "the purifier takes one step"


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    if _no_path(subject):
        return []
    steps = len(_places(subject.planned.make_defense(subject.planned.score).steps))  # type: ignore[attr-defined]
    return [Load(min(subject.n, IMAGES), Work(gradients=steps), GradientMode.FULL)]


def check(subject: Subject) -> Finding:
    """Differentiates through more and more steps, if there are several."""
    unmeasured = _unmeasured(subject)
    values = {} if _no_path(subject) else _along(subject)
    growth = values.get("growth", 1.0)
    lost = not RANGE[0] <= growth <= RANGE[1]
    sentences = [UNMEASURED] if unmeasured else []
    sentences += [_meaning(values["growth"], lost=lost)] if values else []
    return Finding(
        verdict=SUSPECT if unmeasured or lost else PASS,
        values=values,
        threshold="growth of the median norm in [1e-3, 1e3]",
        meaning=" ".join(sentences),
        command=subject.command(subject.attacks.bpda),
    )


def _along(subject: Subject) -> dict[str, Any]:
    """Norms of the gradients through more and more steps, and the agreement of their signs."""
    view, x, y, noise = subject.look(GradientMode.FULL, min(subject.n, IMAGES))
    defense: Any = view.defense
    steps, gradients = _places(defense.steps), []
    for k in steps:
        part = view.through(replace(defense, steps=k))
        gradients.append(part.differentiate(x, y, noise.of("score"), carlini_wagner)[2].flatten(1))
    norms = [gradient.norm(dim=1) for gradient in gradients]
    return {
        "steps": steps,
        "norms": [float(norm.median()) for norm in norms],
        "growth": float((norms[-1] / norms[0].clamp_min(1e-30)).median()),
        "signs that agree": [_agreement(one, other) for one, other in pairwise(gradients)],
    }


def _meaning(growth: float, *, lost: bool) -> str:
    if not lost:
        return f"The gradient comes through all steps of the purifier: its norm changes by a factor of {growth:.2g}."
    word = "vanishes" if growth < 1 else "explodes" if growth > 1 else "is not finite"
    return f"The gradient {word} along the purifier's steps: attack a smoother surrogate (fewer steps, BPDA) too, and rank by the worst."


def _places(steps: int) -> list[int]:
    """Up to four numbers of steps, from 1 to all."""
    return sorted({max(1, round(1 + (steps - 1) * k / (PLACES - 1))) for k in range(PLACES)} if steps > 1 else {1})


def _agreement(one: Tensor, other: Tensor) -> float:
    """The share of pixels with the same sign, among those with a gradient in both."""
    both = (one != 0) & (other != 0)
    return float(torch.where(both, one.sign() == other.sign(), False).sum() / both.sum().clamp_min(1))
