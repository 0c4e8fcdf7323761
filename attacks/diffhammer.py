"""DiffHammer: a gradient of the draws that can be fooled together, carried through the purifier once per step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.ball import project, steepest
from bench.defended import DefendedClassifier, Objective
from bench.errors import UserError
from bench.gradient import GradientMode
from bench.losses import carlini_wagner, named_losses
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images
from bench.search import CONFIRMING, Search
from bench.threat import ThreatModel


def diffhammer(
    model: DefendedClassifier,
    x: Images,
    y: Tensor,
    threat: ThreatModel,
    noise: Noise,
    *,
    steps: int = 20,
    step_size: float | None = None,
    losses: tuple[str, ...] = ("cw", "ce", "dlr"),
    eot: int = 10,
    em: int = 5,
    sharpness: float = 5.0,
) -> Images:
    """Ascends each loss over the draws that share a weakness; expectation maximisation finds them at every step.

    Let `L_i` be the negative margin and `g_i` the gradient at the purified image of draw i. From d = 0, each of `em` rounds
    sets `q_i = sigmoid(sharpness (L_i + d.g_i))` and `d = step_size steepest(sum_i q_i g_i)`. The weighted mean of the `g_i`
    is carried back through the purification of one more draw (gradient grafting). At step t = 1, 2, ... it enters the
    momentum `g <- t^-0.5 g + (1 - t^-0.5) g_before`, and the step follows the steepest direction of that.

    Kept from the paper: weights, rounds, sharpness, number of draws, grafting, momentum. Changed: the weights sum to one,
    since those of an image far from broken would underflow (apart from the momentum, the direction is the same). `L_i` is
    the negative margin whichever loss gives the gradients, so that above 0 means fooled. Each loss has its own run from the
    image, and the ends are compared on fresh draws. There are 20 steps of a quarter of eps.

    References:
        DiffHammer: Rethinking the Robustness of Diffusion-Based Adversarial Purification (Wang et al., 2024)
        https://openreview.net/forum?id=ZJ2ONmSgCS

    Arguments:
        model: The attacker's view.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        threat: The ball.
        noise: One stream per image.
        steps: Gradient steps per loss, at least 1.
        step_size: Length of a step in the threat's norm, pixel units; by default `eps / 4`.
        losses: Tried one after the other: `cw` (margin), `ce` (cross-entropy), `dlr` (ratio of logit differences).
        eot: Fresh draws weighted in each gradient of a stochastic defense, at least 1; a deterministic one uses 1.
        em: Rounds of expectation maximisation, at least 1.
        sharpness: How sharply the weights separate fooled draws from right ones (lambda), above 0.

    Raises:
        UserError: An argument is out of its range, or `dlr` is requested with fewer than three classes.
    """
    if min(steps, eot, em) < 1 or sharpness <= 0 or (step_size is not None and step_size <= 0):
        raise UserError("diffhammer-arguments", steps=steps, eot=eot, em=em, sharpness=sharpness, step_size=step_size)
    search = Search(model, x, y, noise, eot=eot + 1)  # one more, through which the gradient is carried
    length, left = step_size or threat.radius / 4, steps * len(named_losses(losses))
    for loss in named_losses(losses):
        z, momentum = x.clone(), torch.zeros_like(x)
        for k in range(steps):
            rows = search.active
            if len(rows):
                rows, gradient = _gradient(
                    search, rows, z[rows], loss, threat, k, length=length, em=em, sharp=sharpness
                )
                momentum[rows] += (k + 1) ** -0.5 * (gradient - momentum[rows])
                z[rows] = project(z[rows] + length * steepest(momentum[rows], threat), x[rows], threat)
            left -= 1
            search.report(Work(gradients=left * (_weighted(search) + 1) / search.draws))
        rows = search.active
        search.confirm(rows, z[rows])
    return search.best


def work(*, deterministic: bool, steps: int, losses: tuple[str, ...], eot: int, **_: object) -> Work:
    """The work of `diffhammer` on an image that never breaks; a BPDA gradient and a pull-back each count as a gradient."""
    runs, draws = len(losses), 1 if deterministic else eot
    return Work(evaluations=runs * (1 if deterministic else CONFIRMING), gradients=runs * steps * (draws + 1))


def weights(
    losses: Tensor, gradients: Tensor, threat: ThreatModel, *, length: float, em: int, sharpness: float
) -> Tensor:
    """The weight of each draw, by `em` rounds of expectation maximisation; the weights sum to one over the draws.

    Arguments:
        losses: Above 0 where the draw is fooled, `(draws, B)`.
        gradients: Of each draw, `(draws, B, C, H, W)`.
        threat: The norm in which a step is measured.
        length: Length of a step.
        em: Number of rounds.
        sharpness: Factor in the sigmoid.
    """
    gain = torch.zeros_like(losses)
    for _ in range(em):
        q = F.logsigmoid(sharpness * (losses + gain)).softmax(dim=0)  # sigmoid over the sum of sigmoids
        step = length * steepest((q[..., None, None, None] * gradients).sum(dim=0), threat)
        gain = (gradients * step).flatten(2).sum(dim=2)
    return q


def _gradient(
    search: Search,
    rows: Tensor,
    points: Images,
    loss: Objective,
    threat: ThreatModel,
    step: int,
    *,
    length: float,
    em: int,
    sharp: float,
) -> tuple[Tensor, Tensor]:
    """The rows that are still unbroken, and the grafted gradient of each."""
    model, y, count = search.model, search.y[rows], len(rows)
    estimate, draws = search.estimate(rows), _weighted(search)
    cheap = model.view(GradientMode.BPDA) if model.mode is GradientMode.FULL else model
    logits, _, flat = cheap.expect(points.repeat(draws, 1, 1, 1), y.repeat(draws), estimate[: draws * count], loss)
    gradients = flat.view(draws, *points.shape)
    losses = carlini_wagner(logits[0], y.repeat(draws)).view(draws, count)
    kept = search.see(rows, points, logits.view(draws, count, -1))
    q = weights(losses[:, kept], gradients[:, kept], threat, length=length, em=em, sharpness=sharp)
    grafted = (q[..., None, None, None] * gradients[:, kept]).sum(dim=0)
    through = (step % draws if search.draws == draws else draws) * count
    carrier = estimate[through : through + count][kept]
    return rows[kept], model.pull_back(points[kept], carrier, grafted) if kept.any() else grafted


def _weighted(search: Search) -> int:
    """The number of weighted draws: all known ones, or all fresh ones but the last, which carries the gradient."""
    fresh = search.model.stochastic and not search.model.known
    return search.draws - 1 if fresh else search.draws
