"""Projected gradient descent on one or more losses, with restarts."""

from __future__ import annotations

import math

from torch import Tensor

from bench.ball import project, steepest, uniform_in_ball
from bench.defended import DefendedClassifier, Objective
from bench.errors import UserError
from bench.losses import named_losses
from bench.noise import Noise
from bench.pace import GRADIENT_IN_EVALUATIONS, Work
from bench.protocols import Images
from bench.search import Search
from bench.threat import ThreatModel


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
    budget: int | None = None,
) -> Images:
    """Ascends each loss from each start; an image keeps the point of the smallest margin and stops once it is broken.

    If the attacker cannot see what the score will see (fresh draws of a stochastic defense, a blind view), no image stops
    early. The ends of the runs are then compared on fresh draws: by the share of draws that are right, then by mean margin.

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
        losses: Tried one after the other: `cw` (margin), `ce` (cross-entropy), `dlr` (ratio of logit differences).
        start: `random` (uniform in the ball) or `zero` (the image).
        eot: Fresh draws averaged in each gradient of a stochastic defense, at least 1; a deterministic one uses 1.
        budget: The most forward-equivalents per image (a gradient counts as three); reduces the steps. No limit if None.

    Raises:
        UserError: An argument is out of its range.
    """
    _check(steps, step_size, schedule, restarts, start, eot)
    search = Search(model, x, y, noise, eot=eot)
    runs = [(loss, restart) for restart in range(restarts) for loss in named_losses(losses)]
    steps = within(budget, steps, runs=len(runs), draws=search.draws)
    first = step_size or _default_step(threat, schedule, steps)
    for number, (loss, _) in enumerate(runs):
        z = uniform_in_ball(x, threat, noise.of("start").after(number)) if start == "random" else x.clone()
        for k in range(steps):
            _step(search, z, loss, threat, _length(first, schedule, k, steps))
            search.report(_left(steps, done=number * steps + k + 1, runs=len(runs)))
        rows = search.active
        search.confirm(rows, z[rows])
    return search.best


def work(
    *,
    deterministic: bool,
    classes: int,
    steps: int,
    restarts: int,
    losses: tuple[str, ...],
    eot: int,
    budget: int | None,
    **_: object,
) -> Work:
    """The work of `pgd` on an image that never breaks."""
    runs, draws = restarts * len(losses), 1 if deterministic else eot
    steps = within(budget, steps, runs=runs, draws=draws)
    return Work(evaluations=runs * (1 if deterministic else 10), gradients=runs * steps * draws)


def within(budget: int | None, steps: int, *, runs: int, draws: int) -> int:
    """The number of gradient steps that a budget allows, at most `steps`.

    Raises:
        UserError: It allows none.
    """
    if budget is None:
        return steps
    allowed = int(budget / runs / draws // GRADIENT_IN_EVALUATIONS)
    if allowed < 1:
        raise UserError("pgd-budget", least=int(GRADIENT_IN_EVALUATIONS) * runs * draws, budget=budget)
    return min(steps, allowed)


def _step(search: Search, z: Images, loss: Objective, threat: ThreatModel, length: float) -> None:
    """Moves the active rows of `z` uphill in place."""
    rows = search.active
    if not len(rows):
        return
    logits, _, gradient = search.model.expect(z[rows], search.y[rows], search.estimate(rows), loss)
    unbroken = search.see(rows, z[rows], logits)
    rows, gradient = rows[unbroken], gradient[unbroken]
    z[rows] = project(z[rows] + length * steepest(gradient, threat), search.x[rows], threat)


def _left(steps: int, *, done: int, runs: int) -> Work:
    return Work(gradients=steps * runs - done)


def _default_step(threat: ThreatModel, schedule: str, steps: int) -> float:
    return threat.radius if schedule == "cosine" else 2.5 * threat.radius / steps


def _length(first: float, schedule: str, k: int, steps: int) -> float:
    return first * (1 + math.cos(math.pi * k / steps)) / 2 if schedule == "cosine" else first


def _check(steps: int, step_size: float | None, schedule: str, restarts: int, start: str, eot: int) -> None:
    if min(steps, restarts, eot) < 1 or (step_size is not None and step_size <= 0):
        raise UserError("pgd-arguments", steps=steps, restarts=restarts, eot=eot, step_size=step_size)
    if schedule not in ("cosine", "constant") or start not in ("random", "zero"):
        raise UserError("pgd-schedule", schedule=schedule, start=start)
