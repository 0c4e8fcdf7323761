"""The attacker's gradient: exact, finite, and not zero."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.claims.likeness import DOUBLE, alike
from bench.claims.repetition import Scoring
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.figures.summary import EXACT
from bench.noise import Noise
from bench.plan.plan import Plan
from bench.protocols import Images, ScoreModel
from bench.records.claim import Claim, judged

STEPS = (1e-6, 1e-7, 1e-8)
"""Of the central difference (float64): the first of them that no kink disturbs counts. Deep ReLU networks have one in every
few 1e-7; smaller steps drown in rounding. A wrong gradient is wrong at each."""
SAME = "the attacker's view and the score have to be the same function, else another defense is attacked than is scored; do not look at whether gradients are on"


@dataclass(frozen=True, eq=False)
class Slope:
    """What one look of the attacker gives.

    Arguments:
        logits: `(B, classes)`.
        gradient: Of a fixed projection of the logits, `(B, C, H, W)`.
        passes: Of the first image, forward, before the gradient was taken.
    """

    logits: Tensor
    gradient: Tensor
    passes: dict[str, int]


def look(model: DefendedClassifier, x: Images, noise: Noise) -> Slope:
    """Logits and a gradient as an attack takes them: of a projection that does not saturate, as a loss may.

    Arguments:
        model: The attacker's view under full gradients.
        x: Images.
        noise: Their draws.
    """
    passes: dict[str, int] = {}

    def projected(logits: Tensor, rows: Tensor) -> Tensor:
        if not passes:  # the first call is that of the first image
            passes.update(model.tally.of(int(noise.ids[0])))
        return (logits * noise[rows].of("check").normal(logits.detach(), step=1)).sum(dim=1)

    logits, _, gradient = model.differentiate(x, torch.arange(len(x), device=x.device), noise, projected)
    return Slope(logits, gradient, passes)


def nonzero(gradient: Tensor) -> Claim:
    """The share of images with a gradient that is zero in every pixel."""
    share = 1 - float((gradient.flatten(1) != 0).any(dim=1).float().mean())
    means = "an attack cannot follow a gradient that is zero, which clipping, rounding and saturation cause; attack with --attack pgd-bpda and square as well, or say `differentiable = False`"
    return judged("zero gradients", share, 0.0, share == 0, means)


def in_double(plan: Plan, scoring: Scoring, x: Images, noise: Noise) -> tuple[float | None, list[Claim]]:
    """The error of the gradient and the likeness of both forwards, of double-precision copies on the CPU.

    None, and claims that are not measured, for networks that cannot be copied or run in double.
    """
    error: float | None = None
    same = judged("same forward, float64", None, DOUBLE, None, SAME)
    twin = _doubled(plan, len(x))
    if twin is not None:
        draws = Noise(noise.seed, noise.ids.cpu(), noise.purpose)
        inner = interior(x.cpu(), draws)
        try:
            error = gradient_error(twin, inner, draws)
            same = alike(
                "same forward, float64", twin(inner, draws).detach(), scoring(twin, inner, draws), SAME, bar=DOUBLE
            )
        except (RuntimeError, TypeError, NotImplementedError, UserError):
            pass  # the last is what a defense that computes in float32 ends in
    means = "an inexact gradient makes attacks weak, so that robustness is overstated; look for detach, no_grad, or random numbers that a recomputation draws anew"
    return error, [judged("gradient", error, EXACT, None if error is None else error < EXACT, means), same]


def _doubled(plan: Plan, chunk: int) -> DefendedClassifier | None:
    if plan.score is not None and not isinstance(plan.score, nn.Module):
        return None
    try:
        classifier = copy.deepcopy(plan.classifier).cpu().double()
        score: ScoreModel | None = copy.deepcopy(plan.score).cpu().double() if plan.score is not None else None
        return DefendedClassifier(classifier, plan.make_defense(score), chunk=chunk)
    except (RuntimeError, TypeError, NotImplementedError):
        return None


def interior(x: Images, noise: Noise) -> Images:
    """The images in float64, moved away from where purifiers have kinks: off the ends of [0, 1], and no two pixels equal."""
    return 0.1 + 0.7 * x.double() + 0.1 * noise.of("check").uniform(x, step=2)


def gradient_error(model: DefendedClassifier, x: Images, noise: Noise) -> float:
    """Largest relative error, over images, of the directional derivative against central differences, the best of `STEPS`.

    Exact code gives about 1e-8 in float64, a gradient that is lost somewhere about 0.3 or more.

    Arguments:
        model: A float64 model under full gradients.
        x: Images, float64.
        noise: Their draws.
    """
    direction = noise.of("check").normal(x)
    readout = noise.of("check").normal(model(x, noise), step=1)
    _, _, gradient = model.differentiate(
        x, torch.zeros(len(x), dtype=torch.long), noise, lambda logits, _: (logits * readout).sum(dim=1)
    )
    slope = (gradient * direction).sum(dim=(1, 2, 3))
    errors = torch.full_like(slope, torch.inf)
    for step in STEPS:
        ahead, behind = (_project_on(model, x + sign * step * direction, noise, readout) for sign in (1, -1))
        difference = (ahead - behind) / (2 * step)
        scale = torch.maximum(slope.abs(), difference.abs()).clamp_min(1e-12)
        errors = torch.minimum(errors, (slope - difference).abs() / scale)
        if float(errors.max()) < EXACT:
            break
    return float(errors.max())


def _project_on(model: DefendedClassifier, x: Images, noise: Noise, readout: Tensor) -> Tensor:
    return (model(x, noise) * readout).sum(dim=1).detach()
