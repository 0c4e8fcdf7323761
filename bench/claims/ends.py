"""The attacker's gradient at black and white pixels, from where the only way is inward."""

from __future__ import annotations

from contextlib import suppress

import torch

from bench.claims.gradient import error_along, one_sided
from bench.claims.twin import LOST, Twin
from bench.defended import DefendedClassifier
from bench.noise import Noise
from bench.protocols import Images
from bench.records.claim import Claim, judged

INWARD = 1e-3
"""Largest relative error that counts as exact. Built-in purifiers give 1e-9 to 1e-4, those that lose black or white pixels .5 and more."""
SHARE = 0.1
"""Of the pixels between the flat parts: so many are made black, and so many white."""
ROUNDING = 1e-6
"""Part of the gradient's length below which a derivative along one direction is rounding."""
BORDER = "clamp, hardtanh and relu of torch have derivative 0 at a value on their border, and a norm at 0, so that black and white pixels cannot be followed; use bench.gradient.clamp"
MEANS = (
    f"an attack cannot move black and white pixels whose derivative is lost, so that robustness is overstated: {BORDER}"
)


def at_the_ends(twin: Twin | None) -> Claim:
    """The error of the gradient on the way inward from black and white pixels.

    Arguments:
        twin: The attacker's view in double; None where there is none, or where its gradient is wrong everywhere.
    """
    error = None
    if twin is not None:
        with suppress(*LOST):
            error = inward_error(twin.model, twin.x, twin.noise)
    return judged("gradient at the ends", error, INWARD, None if error is None else error < INWARD, MEANS)


def inward_error(model: DefendedClassifier, x: Images, noise: Noise) -> float:
    """Largest relative error, over images, of the derivative along the way inward against one-sided differences.

    Arguments:
        model: A float64 model under full gradients.
        x: Images off the ends of [0, 1], float64.
        noise: Their draws.
    """
    x = with_ends(x, noise)
    return error_along(inward(x, noise), model, x, noise, one_sided, INWARD / 10, floor=ROUNDING)


def inward(x: Images, noise: Noise) -> Images:
    """The way: all black pixels of an image by the same, and all white ones by another, so that equal pixels stay equal.

    What is not differentiable where two pixels are equal, as a median, is then no fault, and black and white cannot cancel.

    Arguments:
        x: Images with black and white pixels.
        noise: Says how far each colour moves, 1 to 2.
    """
    black, white = (1 + noise.of("check").uniform(x[:, :1, :1, :1], step=step) for step in (7, 8))
    return torch.where(x == 0, black, torch.where(x == 1, -white, 0))


def with_ends(x: Images, noise: Noise) -> Images:
    """The images with a black part at the top, a white one at the bottom, and black and white pixels scattered between.

    Arguments:
        x: Images.
        noise: Says which are scattered.
    """
    draw = noise.of("check").uniform(x, step=6)
    row = torch.arange(x.shape[2]).view(-1, 1)
    part = max(1, x.shape[2] // 3)
    top, bottom = row < part, row >= x.shape[2] - part
    black, white = top | (draw < SHARE) & ~bottom, bottom | (draw > 1 - SHARE) & ~top
    return torch.where(white, 1, torch.where(black, 0, x))
