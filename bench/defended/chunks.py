"""Batches in chunks of one fixed size: the rows of each chunk, their padding, and sums over draws."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bench.gradient import entrance
from bench.noise import Noise
from bench.passes import Tally, mark
from bench.protocols import Images
from bench.spoiled import GRADIENT, Spoiled

Objective = Callable[[Tensor, Tensor], Tensor]
"""Maps logits `(B, classes)` and labels `(B,)` to one value per image, which the attacker maximises."""
Compute = Callable[[Images, Noise], Tensor]
"""Maps images and their noise to one row per image."""
VOTING_ROWS = 160
"""Images in one network call when several votes are evaluated together."""


def spans(count: int, size: int) -> list[tuple[int, int]]:
    """Start and end of each chunk of at most `size` rows."""
    return [(start, min(start + size, count)) for start in range(0, count, size)]


def in_chunk(compute: Compute, x: Images, noise: Noise, *, size: int, tally: Tally, spoiled: Spoiled) -> Tensor:
    """`compute` on a chunk that is padded to `size` rows, cut to the rows of `x`.

    Its passes, forward and backward, are counted for the images of `x`. The gradient that comes back to `x` is finite
    (`bench.gradient.usable`); `spoiled` counts the images where it was not.
    """
    ids = noise.ids.tolist()

    def begin() -> None:
        tally.begin(tuple(ids), size)

    def report(rows: Tensor) -> None:
        spoiled.note(GRADIENT, noise.ids[rows].tolist(), x.detach()[rows])

    begin()
    full = _padded(entrance(x, report), noise, size)
    return mark(compute(*full), begin)[: len(x)]


def mean_vote(compute: Compute, x: Images, noise: Noise, *, votes: int, rows: int) -> Tensor:
    """The logarithm of the class probabilities' mean over votes, `(B, classes)`.

    Arguments:
        compute: Gives the logits of one vote per row.
        x: Images `(B, C, H, W)`.
        noise: One stream per image.
        votes: Number of votes per image.
        rows: Rows in one call of `compute`: few images take several votes at once.
    """
    ballots, parts = noise.ballots(votes), []
    for start, stop in spans(votes, max(1, rows // len(x))):
        part = ballots[start * len(x) : stop * len(x)]
        parts.append(compute(x.repeat(stop - start, 1, 1, 1), part))
    logits = torch.cat(parts).view(votes, len(x), -1).log_softmax(dim=2)
    return logits.logsumexp(dim=0) - math.log(votes)


def add_rows(total: Tensor, gradient: Tensor, start: int) -> None:
    """Adds a chunk's gradients to those of their images, one draw after the other.

    Arguments:
        total: One gradient per image, changed in place.
        gradient: Those of the rows from `start` on, in a batch that repeats all images once per draw.
        start: The first row of the chunk.
    """
    while len(gradient):
        row = start % len(total)
        count = min(len(total) - row, len(gradient))
        total[row : row + count] += gradient[:count]
        gradient, start = gradient[count:], start + count


def _padded(x: Images, noise: Noise, size: int) -> tuple[Images, Noise]:
    """Repeats the first image, without a gradient, until the chunk has `size` rows."""
    count, spare = len(x), size - len(x)
    if not spare:
        return x, noise
    rows = torch.arange(size, device=x.device)
    return torch.cat([x, x[:1].detach().expand(spare, *x.shape[1:])]), noise[torch.where(rows < count, rows, 0)]
