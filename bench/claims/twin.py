"""A copy of the defended classifier in double precision, where a fault is far larger than rounding."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.models.contained import networks_in
from bench.noise import Noise
from bench.plan.plan import Plan
from bench.protocols import Defense, Images, ScoreModel

TINY = 1e-9
"""A change of all pixels that float64 resolves and float32 does not: less than a hundredth of the spacing of float32 numbers."""
STRAIGHT = 0.1
"""Largest relative difference between a tiny change and twice its half; more means that rounding dominates."""
LOST = (RuntimeError, TypeError, NotImplementedError, AssertionError, UserError)
"""Exceptions that code for float32 raises when it gets float64; the last one is the harness's own, about the output."""


@dataclass(frozen=True, eq=False)
class Twin:
    """A copy in float64 on the CPU, with its images and draws.

    Arguments:
        model: The copy under full gradients.
        x: The images, moved off the kinks.
        noise: Their draws.
    """

    model: DefendedClassifier
    x: Images
    noise: Noise


def twin_of(plan: Plan, x: Images, noise: Noise, chunk: int) -> Twin | None:
    """The copy in float64; None for networks that cannot be copied or run in float64, and for code that rounds to float32 inside.

    Arguments:
        plan: The parts of the run.
        x: A few images.
        noise: Their draws.
        chunk: Images in one network call.
    """
    if plan.score is not None and not isinstance(plan.score, nn.Module):
        return None
    draws = Noise(noise.seed, noise.ids.cpu(), noise.purpose)
    inner = interior(x.cpu(), draws)
    try:
        classifier = copy.deepcopy(plan.classifier).cpu().double()
        score: ScoreModel | None = copy.deepcopy(plan.score).cpu().double() if plan.score is not None else None
        model = DefendedClassifier(classifier, _in_double(plan.make_defense(score)), chunk=chunk)
        return Twin(model, inner, draws) if resolves(model, inner, draws) else None
    except LOST:
        return None


def _in_double(defense: Defense) -> Defense:
    """A defense whose own networks are in float64: a copy of one that holds others, as an object given in Python may."""
    if all(tensor.dtype != torch.float32 for _, network in networks_in(defense) for tensor in network.parameters()):
        return defense
    clone = copy.deepcopy(defense)
    for _, network in networks_in(clone):
        network.cpu().double()
    return clone


def interior(x: Images, noise: Noise) -> Images:
    """The images in float64, moved away from the kinks of purifiers: no pixel at 0 or 1, and no two pixels equal."""
    return 0.1 + 0.7 * x.double() + 0.1 * noise.of("check").uniform(x, step=2)


def resolves(model: DefendedClassifier, x: Images, noise: Noise) -> bool:
    """Whether twice a tiny change of the images changes the logits twice as much; rounding to float32 inside would hide it.

    Arguments:
        model: The copy in float64.
        x: Images, float64.
        noise: Their draws.
    """
    direction = TINY * noise.of("check").normal(x, step=3)
    with torch.random.fork_rng(devices=[]):
        still, once, twice = (model(x + times * direction, noise).detach() for times in (0, 1, 2))
    one, two = once - still, twice - still
    return float((two - 2 * one).norm()) <= STRAIGHT * float(two.norm())
