"""Random search with no information except the labels."""

from __future__ import annotations

from torch import Tensor

from bench.ball import uniform_in_ball
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images
from bench.search import Search
from bench.threat import ThreatModel


def random(
    model: DefendedClassifier, x: Images, y: Tensor, threat: ThreatModel, noise: Noise, *, tries: int = 100
) -> Images:
    """The worst of `tries` uniform draws from the ball: a lower bar for attacks with gradients.

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
        raise UserError("random-tries", tries=tries)
    search = Search(model, x, y, noise, confirming=1)
    for k in range(tries):
        rows = search.active
        if not len(rows):
            break
        search.confirm(rows, uniform_in_ball(x[rows], threat, noise[rows].of("tries").after(k)))
        search.report(Work(evaluations=tries - k - 1))
    return search.best


def work(*, tries: int, **_: object) -> Work:
    """The work of `random` on an image that never breaks."""
    return Work(evaluations=tries)
