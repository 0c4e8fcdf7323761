"""Finds the means by which the draws of a purifier can be keyed."""

from __future__ import annotations

import torch

from bench.keyed.draws import ForeignDrawsError, not_keyed
from bench.keyed.generators import global_state, held_by, restored, same_state, seed_all
from bench.keyed.purifier import MEANS, Keyed
from bench.keyed.wrapped import name_of, taking_noise
from bench.noise import Noise
from bench.protocols import Defense, Images

CLOSE = 1e-3
"""Largest root mean square difference of an image's pixels alone and in a batch, the median over images: rounding."""


def keyed(defense: Defense, x: Images, noise: Noise) -> Defense:
    """The purifier with keyed draws, if it draws from torch, NumPy or Python; else the purifier itself.

    `purify` may take images alone. The first of `MEANS` counts that gives the same twice, and the same for images alone and in a batch.

    Arguments:
        defense: The purifier. The draws of one that claims to be deterministic are not keyed.
        x: At least two images `(B, C, H, W)`.
        noise: Their draws.

    Raises:
        ForeignDrawsError: It draws from a generator that no seed reaches.
    """
    defense = taking_noise(defense)
    if defense.deterministic or not draws_elsewhere(defense, x, noise):
        return defense
    for means in MEANS:
        candidate = Keyed(defense, means)
        if _is_function(candidate, x, noise):
            return candidate
    raise not_keyed(name_of(defense))


def draws_elsewhere(defense: Defense, x: Images, noise: Noise) -> bool:
    """Whether a purifier draws from other generators than its noise: it changes them, or its result changes with their seed.

    Arguments:
        defense: The purifier.
        x: Images.
        noise: Their draws.
    """
    held = held_by(defense)
    with restored(held):
        before = global_state(held)
        first = defense.purify(x, noise)
        if not same_state(before, global_state(held)):
            return True
        seed_all(1)
        return not torch.equal(first, defense.purify(x, noise))


def _is_function(candidate: Keyed, x: Images, noise: Noise) -> bool:
    """Whether the result is a function of image and draw."""
    try:
        together = candidate.purify(x, noise).detach()
        if not torch.equal(together, candidate.purify(x, noise)):
            return False
        alone = torch.cat([candidate.purify(x[row : row + 1], noise[row : row + 1]).detach() for row in range(len(x))])
    except ForeignDrawsError:
        return False
    return float((together - alone).flatten(1).square().mean(dim=1).sqrt().median()) <= CLOSE
