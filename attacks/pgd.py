"""Projected gradient descent on one or more losses, with restarts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.ball import project, steepest, uniform_in_ball
from bench.defended import DefendedClassifier, Objective
from bench.errors import UserError
from bench.margin import margin
from bench.noise import Noise
from bench.protocols import Images
from bench.threat import ThreatModel

FINAL_DRAWS = 10
"""Draws of a stochastic defense over which the ends of the restarts are compared."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each image."""
    return F.cross_entropy(logits, labels, reduction="none")


def carlini_wagner(logits: Tensor, labels: Tensor) -> Tensor:
    """The negative margin of each image (Carlini and Wagner, 2017, https://arxiv.org/abs/1608.04644)."""
    return -margin(logits, labels)


LOSSES: dict[str, Objective] = {"cw": carlini_wagner, "ce": cross_entropy}


def pgd(
    model: DefendedClassifier,
    x: Images,
    y: Tensor,
    threat: ThreatModel,
    noise: Noise,
    *,
    steps: int = 20,
    step_size: float | None = None,
    schedule: str = "cosine",
    restarts: int = 1,
    losses: tuple[str, ...] = ("cw", "ce"),
    start: str = "random",
    eot: int = 10,
) -> Images:
    """Ascends each loss from each start; an image keeps the point of the smallest margin and rests once it is broken.

    Where the attacker cannot see what the score will see (a stochastic defense, a blind view), no image rests, and the
    ends of the runs are compared by their mean margin.

    References:
        Towards Deep Learning Models Resistant to Adversarial Attacks (Madry, Makelov, Schmidt, Tsipras, Vladu, 2018)
        https://arxiv.org/abs/1706.06083
        Synthesizing Robust Adversarial Examples (Athalye, Engstrom, Ilyas, Kwok, 2018)
        https://arxiv.org/abs/1707.07397

    Arguments:
        model: The attacker's view.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        threat: The ball.
        noise: One stream per image.
        steps: Gradient steps per loss and restart, at least 1.
        step_size: Length of the first step in the threat's norm, pixel units. By default `eps` under the cosine
            schedule and `2.5 eps / steps` under the constant one.
        schedule: `cosine` (to zero) or `constant`.
        restarts: Starts per loss, at least 1.
        losses: Tried one after the other: `cw` (margin), `ce` (cross-entropy).
        start: `random` (uniform in the ball) or `zero` (the image).
        eot: Draws averaged in each gradient of a stochastic defense, at least 1; a deterministic one takes 1.

    Raises:
        UserError: An argument is out of its range.
    """
    _check(steps, step_size, schedule, restarts, losses, start, eot)
    first = step_size or (threat.radius if schedule == "cosine" else 2.5 * threat.radius / steps)
    search = _Search(model, x, y, threat, noise, draws=eot if model.stochastic else 1)
    runs = [(loss, restart) for restart in range(restarts) for loss in losses]
    for number, (loss, _) in enumerate(runs):
        z = uniform_in_ball(x, threat, noise.of("start").at(number)) if start == "random" else x.clone()
        for k in range(steps):
            search.step(z, LOSSES[loss], number * (steps + 1) + k, _length(first, schedule, k, steps))
            model.advance((number + (k + 1) / steps) / len(runs), search.standing)
        search.finish(z, number * (steps + 1) + steps)
    return search.best


@dataclass
class _Search:
    """The best point of each image so far, and which images are still being attacked."""

    model: DefendedClassifier
    x: Images
    y: Tensor
    threat: ThreatModel
    noise: Noise
    draws: int

    def __post_init__(self) -> None:
        self.best = self.x.clone()
        self.worst = torch.full((len(self.x),), torch.inf, dtype=self.x.dtype, device=self.x.device)

    @property
    def standing(self) -> int:
        """How many images are not broken yet, as far as the attacker sees."""
        return int((self.worst >= 0).sum())

    def step(self, z: Images, loss: Objective, number: int, length: float) -> None:
        """Moves the active rows of `z` uphill in place, remembering where they were if that was better."""
        rows = self._active()
        if not len(rows):
            return
        margins, gradient = self._slope(z[rows], rows, loss, number)
        if self.model.decisive:
            rows, gradient = self._keep(z, rows, margins, gradient)
        moved = z[rows] + length * steepest(gradient, self.threat)
        z[rows] = project(moved, self.x[rows], self.threat)

    def finish(self, z: Images, number: int) -> None:
        """Compares the end of a run with the best point so far."""
        rows = self._active()
        if len(rows):
            draws = FINAL_DRAWS if self.model.stochastic else 1
            seen = [margin(self.model(z[rows], self._draw(rows, number, e)), self.y[rows]) for e in range(draws)]
            self._keep(z, rows, torch.stack(seen).mean(dim=0), z[rows])

    def _active(self) -> Tensor:
        everyone = torch.arange(len(self.x), device=self.x.device)
        return everyone[self.worst >= 0] if self.model.decisive else everyone

    def _slope(self, z: Images, rows: Tensor, loss: Objective, number: int) -> tuple[Tensor, Tensor]:
        total, logits = torch.zeros_like(z), torch.empty(0)
        for e in range(self.draws):
            logits, _, gradient = self.model.differentiate(z, self.y[rows], self._draw(rows, number, e), loss)
            total += gradient
        return margin(logits, self.y[rows]), total

    def _draw(self, rows: Tensor, number: int, e: int) -> Noise:
        """The e-th of the draws of this gradient or comparison, which no other one uses."""
        return self.noise[rows].at(number * max(FINAL_DRAWS, self.draws) + e)

    def _keep(self, z: Images, rows: Tensor, margins: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        better = margins < self.worst[rows]
        self.best[rows[better]], self.worst[rows[better]] = z[rows[better]], margins[better]
        standing = self.worst[rows] >= 0
        return rows[standing], gradient[standing]


def _length(first: float, schedule: str, k: int, steps: int) -> float:
    return first * (1 + math.cos(math.pi * k / steps)) / 2 if schedule == "cosine" else first


def _check(
    steps: int, step_size: float | None, schedule: str, restarts: int, losses: tuple[str, ...], start: str, eot: int
) -> None:
    if min(steps, restarts, eot) < 1 or (step_size is not None and step_size <= 0):
        raise UserError(
            "expected steps, restarts, eot >= 1 and step_size > 0, got "
            f"steps={steps}, restarts={restarts}, eot={eot}, step_size={step_size}; correct the -A arguments"
        )
    if not losses or not set(losses) <= set(LOSSES):
        raise UserError(f"expected losses among {', '.join(LOSSES)}, got {','.join(losses)!r}; write -A losses=cw,ce")
    if schedule not in ("cosine", "constant") or start not in ("random", "zero"):
        raise UserError(
            f"expected schedule cosine or constant and start random or zero, got {schedule!r} and {start!r}; correct the -A arguments"
        )
