"""The cost of one image, timed on one chunk, and the share of images that a short probe leaves unbroken."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from bench.ball import project, steepest
from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.machine.memory import synchronize
from bench.margin import margin
from bench.noise import Noise
from bench.protocols import Images
from bench.threat import ThreatModel

TIMED, ENOUGH = 3, 1.0
"""The most calls that are timed after the first, and the seconds after which no further call is."""
PROBE_STEPS = 6
"""Each of half a radius: an image that these break is broken early by an attack, too."""


def cost_of(view: DefendedClassifier, x: Images, y: Tensor, noise: Noise) -> tuple[float, dict[str, float]]:
    """Seconds and passes per image of one call, without a gradient under `NONE`, else with one.

    Arguments:
        view: The defended classifier under the gradient mode to time.
        x: One chunk of images.
        y: Labels `(B,)`.
        noise: Their streams.
    """

    def call() -> None:
        view.tally.counts.clear()
        if view.mode is GradientMode.NONE:
            view.sample(x, noise.of("check"))
        else:
            view.differentiate(x, y, noise.of("check"), lambda logits, y: logits.logsumexp(dim=1))
        synchronize(x.device)

    with torch.set_grad_enabled(view.mode is not GradientMode.NONE):
        seconds = least_seconds(call)
    counts = [view.tally.of(sample) for sample in noise.ids.tolist()]
    return seconds / len(x), {kind: sum(count[kind] for count in counts) / len(x) for kind in counts[0]}


def least_seconds(call: Callable[[], None]) -> float:
    """The shortest of up to four calls.

    The first one also loads kernels, and other processes only ever make a call longer.
    """
    least, later = _seconds(call), list[float]()
    while len(later) < TIMED and sum(later) < ENOUGH:
        later.append(_seconds(call))
    return min(least, *later)


def _seconds(call: Callable[[], None]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


def unbroken_share(
    view: DefendedClassifier, x: Images, y: Tensor, noise: Noise, right: Tensor, threat: ThreatModel
) -> float:
    """The share of images that stay unbroken under a few steps of plain ascent.

    Where the attacker cannot see the scored draws, no attack stops early: then every image that was right counts.

    Arguments:
        view: The attacker's view.
        x: Images.
        y: Labels `(B,)`.
        noise: Their streams.
        right: Whether some draw of each image is right before the attack, bool `(B,)`.
        threat: The ball.
    """
    draws, z, unbroken = noise.of("score"), x, right.clone()
    for _ in range(PROBE_STEPS if view.decisive else 0):
        rows = torch.nonzero(unbroken)[:, 0]
        if not len(rows):
            break
        _, values, slope = view.differentiate(z[rows], y[rows], draws[rows], lambda logits, y: -margin(logits, y))
        unbroken[rows] = values <= 0
        moved = project(z[rows] + threat.radius / 2 * steepest(slope, threat), x[rows], threat)
        z = z.index_copy(0, rows, moved)
    return float(unbroken.float().mean())
