"""Checks that the attacker's gradient is exact and not zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.claims.likeness import DOUBLE, alike
from bench.claims.repetition import Scoring
from bench.claims.single_precision import CLOSE, single_error
from bench.claims.twin import LOST, Twin, interior
from bench.defended import DefendedClassifier
from bench.figures.summary import EXACT
from bench.gradient import PIXELS
from bench.noise import Noise
from bench.protocols import Images
from bench.records.claim import IN_DOUBLE, IN_SINGLE, Claim, judged

Quotient = Callable[[Callable[[float], Tensor], float], Tensor]
"""Maps a function and a step to a difference quotient: its derivative at 0, nearly."""
STEPS = (1e-6, 1e-7, 1e-8)
"""Steps of the central difference in float64; the first one that no kink disturbs counts.

Deep ReLU networks have a kink every few 1e-7, and smaller steps drown in rounding. A wrong gradient is wrong at each step.
"""
MEANS = "an inexact gradient makes attacks weak, so that robustness is overstated; look for detach, no_grad, or random numbers that a recomputation draws anew"
SAME = "the attacker's view and the score have to be the same function, else another defense is attacked than is scored; do not look at whether gradients are on"


@dataclass(frozen=True, eq=False)
class Slope:
    """One gradient evaluation by the attacker.

    Arguments:
        logits: Shape `(B, classes)`.
        gradient: Gradient of a fixed projection of the logits, `(B, C, H, W)`.
        passes: Passes forward of the first image, before the gradient was taken.
    """

    logits: Tensor
    gradient: Tensor
    passes: dict[str, int]


def look(model: DefendedClassifier, x: Images, noise: Noise) -> Slope:
    """Logits and a gradient, taken as an attack does, of a projection, which does not saturate as a loss may.

    Arguments:
        model: The attacker's view under full gradients.
        x: Images.
        noise: Their draws.
    """
    passes: dict[str, int] = {}

    def projected(logits: Tensor, rows: Tensor) -> Tensor:
        if not passes:  # the first call holds the first image
            passes.update(model.tally.of(int(noise.ids[0])))
        return (logits * noise[rows].of("check").normal(logits.detach(), step=1)).sum(dim=1)

    logits, _, gradient = model.differentiate(x, torch.arange(len(x), device=x.device), noise, projected)
    return Slope(logits, gradient, passes)


def nonzero(gradient: Tensor) -> Claim:
    """The share of images with a gradient that is zero in every pixel."""
    share = 1 - float((gradient.flatten(1) != 0).any(dim=1).float().mean())
    means = "an attack cannot follow a gradient that is zero, which clipping, rounding and saturation cause; attack with --attack pgd-bpda and square as well, or say `differentiable = False`"
    return judged("zero gradients", share, 0.0, share == 0, means)


def of_gradient(
    model: DefendedClassifier, x: Images, noise: Noise, twin: Twin | None, scoring: Scoring
) -> tuple[float | None, list[Claim]]:
    """The error of the gradient, and whether both forward passes agree: in double precision if possible, else in float32.

    Arguments:
        model: The attacker's view, in float32.
        x: A few images.
        noise: Their draws.
        twin: Its copy in double precision.
        scoring: Scores a view.
    """
    if twin is not None:
        try:
            return _in_double(twin, scoring)
        except LOST:
            pass
    error = single_error(model, interior(x, noise).to(x.dtype), noise)
    exact = None if error is None else error < CLOSE
    return error, [
        judged(IN_SINGLE, error, CLOSE, exact, MEANS),
        judged("same forward, float64", None, DOUBLE, None, SAME),
    ]


def _in_double(twin: Twin, scoring: Scoring) -> tuple[float, list[Claim]]:
    error = gradient_error(twin.model, twin.x, twin.noise)
    forwards = twin.model(twin.x, twin.noise).detach(), scoring(twin.model, twin.x, twin.noise)
    same = alike("same forward, float64", *forwards, SAME, bar=DOUBLE)
    return error, [judged(IN_DOUBLE, error, EXACT, error < EXACT, MEANS), same]


def gradient_error(model: DefendedClassifier, x: Images, noise: Noise) -> float:
    """Largest relative error, over images, of the directional derivative against central differences, the best of `STEPS`.

    Exact code gives about 1e-8 in float64; a gradient that is lost somewhere gives about 0.3 or more.

    Arguments:
        model: A float64 model under full gradients.
        x: Images, float64.
        noise: Their draws.
    """
    return error_along(noise.of("check").normal(x), model, x, noise, central, EXACT)


def error_along(
    direction: Images,
    model: DefendedClassifier,
    x: Images,
    noise: Noise,
    quotient: Quotient,
    bar: float,
    floor: float = 0.0,
) -> float:
    """Largest relative error, over images, of the derivative along a direction against difference quotients, the best of `STEPS`.

    Arguments:
        direction: The shape of `x`.
        model: A float64 model under full gradients.
        x: Images, float64.
        noise: Their draws.
        quotient: The difference quotient.
        bar: The search over steps stops at an error below it.
        floor: A derivative below this part of the product of both lengths, of gradient and direction, is rounding.
    """
    readout = noise.of("check").normal(model(x, noise), step=1)
    _, _, gradient = model.differentiate(
        x, torch.arange(len(x)), noise, lambda logits, rows: (logits * readout[rows]).sum(dim=1)
    )
    slope = (gradient * direction).sum(dim=PIXELS)
    least = (floor * gradient.flatten(1).norm(dim=1) * direction.flatten(1).norm(dim=1)).clamp_min(1e-12)
    errors = torch.full_like(slope, torch.inf)
    for step in STEPS:
        difference = quotient(lambda t: _project_on(model, x + t * direction, noise, readout), step)
        scale = torch.maximum(torch.maximum(slope.abs(), difference.abs()), least)
        errors = torch.minimum(errors, (slope - difference).abs() / scale)
        if float(errors.max()) < bar:
            break
    return float(errors.max())


def central(function: Callable[[float], Tensor], step: float) -> Tensor:
    """`(f(h) - f(-h)) / 2h`."""
    return (function(step) - function(-step)) / (2 * step)


def one_sided(function: Callable[[float], Tensor], step: float) -> Tensor:
    """`(4 f(h) - 3 f(0) - f(2h)) / 2h`, exact for parabolas, and exactly 0 where nothing changes."""
    still = function(0.0)
    return (4 * (function(step) - still) - (function(2 * step) - still)) / (2 * step)


def _project_on(model: DefendedClassifier, x: Images, noise: Noise, readout: Tensor) -> Tensor:
    return (model(x, noise) * readout).sum(dim=1).detach()
