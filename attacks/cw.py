"""Carlini and Wagner's attack: the closest adversarial point in l2."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.ball import project
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.gradient import PIXELS, usable
from bench.losses import carlini_wagner
from bench.margin import margin
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images
from bench.search import CONFIRMING, Search
from bench.threat import ThreatModel

INSIDE = 0.99
"""The value of tanh at black and white pixels: closer to 1 they would hardly move in a hundred steps."""
DECAY, DECAY_OF_SQUARES, TINY = 0.9, 0.999, 1e-8
"""Constants of Adam: decay of the mean, decay of the mean square, and the term in the denominator."""
FACTOR = 10.0
"""Multiplies or divides the constant until both a too small and a large enough one are found."""


def cw(
    model: DefendedClassifier,
    x: Images,
    y: Tensor,
    threat: ThreatModel,
    noise: Noise,
    *,
    steps: int = 100,
    searches: int = 5,
    step_size: float = 0.01,
    confidence: float = 0.0,
    constant: float = 1.0,
    eot: int = 1,
) -> Images:
    """Minimises `||z - x||^2 + c max(margin(z), -confidence)` over `z = (tanh(w) / 0.99 + 1) / 2` by Adam, searching c per image.

    The result is the closest point whose mean margin is negative and at most `-confidence`, if it lies in the ball. Otherwise,
    and always if the attacker cannot see what the score will see, it is compared with a second point: the one with the
    smallest margin at the border of the ball, if the margin changes linearly along its ray. Both points are shortened along
    their rays into the ball. No image stops early, since a closer point may still be found.

    Changes to the paper: fewer steps; the factor 0.99 with z clamped to [0, 1], since black and white pixels could not
    move otherwise; c changes by factors of ten until it is bracketed, then by geometric means, since it spans orders of
    magnitude; the result is shortened into the ball.

    References:
        Towards Evaluating the Robustness of Neural Networks (Carlini, Wagner, 2017)
        https://arxiv.org/abs/1608.04644
        Adam: A Method for Stochastic Optimization (Kingma, Ba, 2015)
        https://arxiv.org/abs/1412.6980

    Arguments:
        model: The attacker's view.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        threat: The ball, in l2.
        noise: One stream per image.
        steps: Steps of Adam per constant, at least 1.
        searches: Constants tried per image, at least 1.
        step_size: Step size of Adam, in the space of w.
        confidence: How far below 0 the margin has to be, in logits, at least 0.
        constant: The first c, above 0.
        eot: Fresh draws averaged in each gradient of a stochastic defense, at least 1; a deterministic one uses 1.

    Raises:
        UserError: The threat is not in l2, or an argument is out of its range.
    """
    _check(threat, steps, searches, step_size, confidence, constant, eot)
    search, found = Search(model, x, y, noise, eot=eot), _Found(x, threat.radius)
    low, high = torch.zeros_like(found.distance), torch.full_like(found.distance, torch.inf)
    c = torch.full_like(low, constant)
    for number in range(searches):
        success = torch.zeros_like(low, dtype=torch.bool)
        adam = _Adam(torch.atanh((2 * x - 1) * INSIDE), step_size)
        for k in range(steps):
            t = adam.w.tanh()
            z = ((t / INSIDE + 1) / 2).clamp(0, 1)
            mean, gradient = _margin_gradient(search, z, confidence)
            success |= found.note(z, mean, (mean < 0) & (mean <= -confidence))
            slope = 2 * (z - x) + c.view(-1, 1, 1, 1) * gradient
            # The derivative ignores the clamp, so that a pixel outside [0, 1] can come back.
            adam.descend(usable(slope * (1 - t**2) / (2 * INSIDE)))
            search.report(Work(gradients=(searches - number) * steps - k - 1))
        high, low = torch.where(success, c, high), torch.where(success, low, c)
        c = torch.where(low == 0, c / FACTOR, torch.where(high == torch.inf, c * FACTOR, (low * high).sqrt()))
    search.confirm(search.active, _drawn_back(found.closest, x, threat))
    rows = search.active
    search.confirm(rows, _drawn_back(found.promising[rows], x[rows], threat))
    return search.best


def work(*, deterministic: bool, steps: int, searches: int, eot: int, **_: object) -> Work:
    """The work of `cw` on an image, whether it breaks or not."""
    draws, confirming = (1, 1) if deterministic else (eot, CONFIRMING)
    return Work(evaluations=2 * confirming, gradients=searches * steps * draws)


class _Found:
    """The closest adversarial point of each image, and the one with the smallest expected margin inside the ball."""

    def __init__(self, x: Images, radius: float) -> None:
        self.x, self.radius = x, radius
        self.closest, self.promising = x.clone(), x.clone()
        self.distance = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
        self.promise = self.distance.clone()
        self.first: Tensor | None = None

    def note(self, z: Images, mean: Tensor, adversarial: Tensor) -> Tensor:
        """Keeps better points, given the mean margin at `z`; returns `adversarial`."""
        distance = _length(z - self.x)
        self.first = mean if self.first is None else self.first
        promise = self.first + (mean - self.first) * (self.radius / distance.clamp_min(self.radius))
        closer, better = adversarial & (distance < self.distance), promise < self.promise
        self.closest[closer], self.distance[closer] = z[closer], distance[closer]
        self.promising[better], self.promise[better] = z[better], promise[better]
        return adversarial


class _Adam:
    def __init__(self, w: Tensor, step_size: float) -> None:
        self.w, self.step_size, self.done = w, step_size, 0
        self.mean, self.square = torch.zeros_like(w), torch.zeros_like(w)

    def descend(self, gradient: Tensor) -> None:
        self.done += 1
        self.mean = DECAY * self.mean + (1 - DECAY) * gradient
        self.square = DECAY_OF_SQUARES * self.square + (1 - DECAY_OF_SQUARES) * gradient**2
        mean, square = self.mean / (1 - DECAY**self.done), self.square / (1 - DECAY_OF_SQUARES**self.done)
        self.w = self.w - self.step_size * mean / (square.sqrt() + TINY)


def _margin_gradient(search: Search, z: Images, confidence: float) -> tuple[Tensor, Tensor]:
    """The mean margin of each image over the draws of one estimate, and the gradient of its part above `-confidence`."""
    rows = torch.arange(len(z), device=z.device)
    logits, _, gradient = search.model.expect(
        z, search.y, search.estimate(rows), lambda logits, y: carlini_wagner(logits, y).clamp(max=confidence)
    )
    return margin(logits.flatten(0, 1), search.y.repeat(len(logits))).view(len(logits), -1).mean(dim=0), -gradient


def _drawn_back(points: Images, x: Images, threat: ThreatModel) -> Images:
    """Points inside the ball unchanged, to the last bit; others where their ray leaves the ball."""
    outside = _length(points - x) > threat.radius
    return torch.where(outside.view(-1, 1, 1, 1), project(points, x, threat), points)


def _length(delta: Tensor) -> Tensor:
    return torch.linalg.vector_norm(delta, dim=PIXELS)


def _check(
    threat: ThreatModel, steps: int, searches: int, step_size: float, confidence: float, constant: float, eot: int
) -> None:
    if threat.norm != "l2":
        raise UserError("cw-norm", threat=threat)
    if min(steps, searches, eot) < 1 or min(step_size, constant) <= 0 or confidence < 0:
        raise UserError(
            "cw-arguments",
            steps=steps,
            searches=searches,
            eot=eot,
            step_size=step_size,
            constant=constant,
            confidence=confidence,
        )
