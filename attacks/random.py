"""Random search without any information but the labels."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.ball import uniform_in_ball
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.margin import margin
from bench.noise import Noise
from bench.protocols import Images
from bench.threat import ThreatModel


def random(
    model: DefendedClassifier, x: Images, y: Tensor, threat: ThreatModel, noise: Noise, *, tries: int = 100
) -> Images:
    """The worst of `tries` uniform draws from the ball: what a gradient must beat.

    Arguments:
        model: The attacker's view.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        threat: The ball.
        noise: One stream per image.
        tries: Draws per image, at least 1.

    Raises:
        UserError: `tries` is below 1.
    """
    if tries < 1:
        raise UserError(f"expected tries >= 1, got {tries}; correct -A tries=")
    best, worst = x.clone(), torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    active = torch.arange(len(x), device=x.device)
    for k in range(tries):
        guess = uniform_in_ball(x[active], threat, noise[active].of("tries").at(k))
        value = margin(model(guess, noise[active].at(k)), y[active])
        better = value < worst[active]
        best[active[better]], worst[active[better]] = guess[better], value[better]
        if model.decisive:
            active = active[worst[active] >= 0]
        model.advance((k + 1) / tries, len(active))
        if not len(active):
            break
    return best
