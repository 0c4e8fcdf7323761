"""What a defense claims, verified on a few images before the run: stored in the record's header."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from bench.defended import DefendedClassifier
from bench.device import out_of_memory
from bench.errors import BenchError, UserError
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.plan import Plan
from bench.protocols import Images, ScoreModel
from bench.summary import EXACT

IMAGES = 4
STEPS = (1e-6, 1e-7, 1e-8)
"""Of the central difference, in float64: the first one that agrees counts. Larger ones cross kinks, smaller ones drown in
rounding; a gradient that is wrong agrees with none."""


def verify_claims(plan: Plan, model: DefendedClassifier, x: Images, noise: Noise) -> dict[str, Any]:
    """Determinism, range, gradient; as data.

    Arguments:
        plan: The parts of the run.
        model: The deployed defense under full gradients if it has any.
        x: A few images, float32, on the run's device.
        noise: Their draws.

    Raises:
        UserError: The defense claims to be deterministic and is not, or leaves [0, 1], or the classifier has other classes.
    """
    name = plan.spec.defense.name
    logits, again = _first_logits(plan, model, x, noise), model(x, noise)
    if not torch.equal(logits, again):
        raise UserError(
            f"expected {name} to give the same logits twice for the same image and draw, got a difference of {float((logits - again).abs().max()):.1e}; draw from `noise` only"
        )
    if not _fits(logits.shape[1], plan.dataset.classes):
        raise UserError(
            f"expected logits for the {len(plan.dataset.classes)} classes of {plan.dataset.name}, got {logits.shape[1]}; choose another --classifier"
        )
    pure = model.purify(x, noise).detach()
    if pure.min() < -1e-6 or pure.max() > 1 + 1e-6:
        raise UserError(
            f"expected {name} to return pixels in [0, 1], got [{float(pure.min()):g}, {float(pure.max()):g}]; clamp them"
        )
    checks: dict[str, Any] = {"deterministic": model.deterministic, "range": [float(pure.min()), float(pure.max())]}
    if model.mode is not GradientMode.FULL:
        return {**checks, "differentiable": False}
    return {**checks, "differentiable": True, **_gradient_checks(plan, model, x, noise)}


def _fits(logits: int, classes: tuple[str, ...]) -> bool:
    """Named classes want as many logits; numbered ones may be some of the classifier's."""
    numbered = classes == tuple(map(str, range(len(classes))))
    return logits >= len(classes) if numbered else logits == len(classes)


def interior(x: Images, noise: Noise) -> Images:
    """The images in float64, moved away from where purifiers have kinks: off the ends of [0, 1], and no two pixels equal."""
    return 0.1 + 0.7 * x.double() + 0.1 * noise.of("check").uniform(x, step=2)


def gradient_error(model: DefendedClassifier, x: Images, noise: Noise) -> float:
    """Largest relative error, over images, of the directional derivative against a central difference.

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
    errors: Tensor | None = None
    for step in STEPS:
        ahead, behind = (_project_on(model, x + sign * step * direction, noise, readout) for sign in (1, -1))
        difference = (ahead - behind) / (2 * step)
        error = (slope - difference).abs() / torch.maximum(slope.abs(), difference.abs()).clamp_min(1e-12)
        errors = error if errors is None else torch.minimum(errors, error)
        if (errors < EXACT).all():
            break
    return float(errors.max()) if errors is not None else 0.0


def _project_on(model: DefendedClassifier, x: Images, noise: Noise, readout: Tensor) -> Tensor:
    return (model(x, noise) * readout).sum(dim=1).detach()


def _first_logits(plan: Plan, model: DefendedClassifier, x: Images, noise: Noise) -> Tensor:
    try:
        return model(x, noise)
    except BenchError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        raise UserError(
            f"expected the classifier to take images of shape {tuple(x.shape[1:])} as {plan.dataset.name} holds them, "
            f"got {type(error).__name__}: {error}; choose another --classifier"
        ) from error


def _gradient_checks(plan: Plan, model: DefendedClassifier, x: Images, noise: Noise) -> dict[str, Any]:
    labels = torch.zeros(len(x), dtype=torch.long, device=x.device)
    try:
        _, _, gradient = model.differentiate(x, labels, noise, lambda logits, y: logits.logsumexp(dim=1) - logits[:, 0])
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise UserError(
            f"expected gradients through {plan.spec.defense.name} and the classifier, got {type(error).__name__}: {error}; "
            "keep the graph, or set `differentiable = False` on the defense"
        ) from error
    nonzero = float((gradient.flatten(1) != 0).any(dim=1).float().mean())
    finite = bool(torch.isfinite(gradient).all())
    return {"gradient_finite": finite, "gradient_nonzero": nonzero, "gradient_error": _double_error(plan, x, noise)}


def _double_error(plan: Plan, x: Images, noise: Noise) -> float | None:
    """`gradient_error` of double-precision copies on the CPU; None for networks that cannot be copied or run in double."""
    if plan.score is not None and not isinstance(plan.score, nn.Module):
        return None
    draws = Noise(noise.seed, noise.ids.cpu(), noise.purpose)
    try:
        classifier = copy.deepcopy(plan.classifier).cpu().double()
        score: ScoreModel | None = copy.deepcopy(plan.score).cpu().double() if plan.score is not None else None
        model = DefendedClassifier(classifier, plan.make_defense(score), chunk=len(x))
        return gradient_error(model, interior(x.cpu(), draws), draws)
    except (RuntimeError, TypeError, NotImplementedError):
        return None
