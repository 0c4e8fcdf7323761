"""Checks that image and draw alone decide the logits: not the time, the other images or the global seed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.claims.likeness import alike, difference
from bench.defended import DefendedClassifier
from bench.keyed.generators import global_state, restored, same_state, seed_all, set_state
from bench.noise import Noise
from bench.protocols import Images
from bench.records.claim import Claim, judged

Scorer = Callable[[Images, Noise], Tensor]
"""Maps images and their draws to logits, as they are scored."""
Scoring = Callable[[DefendedClassifier, Images, Noise], Tensor]
"""Maps a view, images and their draws to logits, as they are scored: without gradients."""
OTHER_SEED = 12345
LUCK = "the same image and draw have to give the same logits twice, else the number is luck; draw from `noise` only"
SEEDED = "a global seed must not change a logit, else the number depends on what ran before; draw from `noise` only"
GLOBAL = "a defense that draws from the global generators, or seeds them, changes the attack's own random numbers; draw from `noise` only"
NEIGHBOURS = "an image's logits must not depend on its neighbours, else the number depends on the batch size; sum per image, never over the batch, or give --batch-size 1, which goes image by image and is then part of the run id"


def repetition(scorer: Scorer, x: Images, noise: Noise) -> list[Claim]:
    """The claims on repetition, another global seed, the global generators, and images alone and permuted.

    If a repetition under another global seed agrees, the first two claims pass at once. If not, a third evaluation under the
    first seed shows whether the seed was the cause, and neighbours are not checked.

    Arguments:
        scorer: Scores the deployed defense.
        x: A few images `(B, C, H, W)`.
        noise: Their draws.
    """
    before = global_state()
    with restored():
        first = scorer(x, noise)
        untouched = same_state(before, global_state())
        seed_all(OTHER_SEED)
        seeded = global_state()
        second = scorer(x, noise)
        untouched &= same_state(seeded, global_state())  # the first state may be the one that a seed inside leads to
        reseeded, repeated = difference(first, second), 0.0
        if reseeded:
            set_state(before)
            repeated = difference(first, scorer(x, noise))
        claims = [
            judged("repeats", repeated, 0.0, repeated == 0, LUCK),
            judged("other seed", None if repeated else reseeded, 0.0, None if repeated else reseeded == 0, SEEDED),
            judged("global state", untouched, True, untouched, GLOBAL),
        ]
        return claims if reseeded else [*claims, *_neighbours(scorer, x, noise, first)]


def _neighbours(scorer: Scorer, x: Images, noise: Noise, together: Tensor) -> list[Claim]:
    """The claims on an image alone and on reversed order, both in a batch of the same padded shape."""
    rows = torch.arange(len(x), device=x.device).flip(0)
    return [
        alike("alone", together[:1], scorer(x[:1], noise[:1]), NEIGHBOURS),
        alike("permuted", together[rows], scorer(x[rows], noise[rows]), NEIGHBOURS),
    ]
