"""A plain gradient ascent, traced step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.ball import project, steepest
from bench.defended import DefendedClassifier, Objective
from bench.losses import carlini_wagner
from bench.noise import Noise
from bench.protocols import Images
from bench.spoiled import GRADIENT, Spoiled
from bench.threat import ThreatModel


@dataclass(frozen=True, eq=False)
class Trace:
    """The iterates of a projected gradient ascent under a cosine schedule; broken images continue, too.

    Arguments:
        margins: The negative objective at every iterate, with the first and the last, `(steps + 1, B)`.
        norms: l2 norms of the gradients, NaN where the gradient was not finite, `(steps, B)`.
        last: The last iterate.
    """

    margins: Tensor
    norms: Tensor
    last: Images

    @property
    def broken(self) -> Tensor:
        """Whether some iterate was misclassified, `(B,)`."""
        return (self.margins < 0).any(dim=0)


def ascend(
    view: DefendedClassifier,
    x: Images,
    y: Tensor,
    noise: Noise,
    threat: ThreatModel,
    *,
    steps: int,
    first: float | None = None,
    objective: Objective = carlini_wagner,
    start: Images | None = None,
) -> Trace:
    """Follows the gradient of one fixed draw.

    Arguments:
        view: The defended classifier.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        noise: One stream per image, for the one draw.
        threat: The ball.
        steps: Number of steps.
        first: Length of the first step, pixel units; the radius if left out.
        objective: The objective to ascend; above 0 the image counts as misclassified.
        start: The first iterate, in the ball; the image if left out.
    """
    z, margins, norms = x if start is None else start, [], []
    for k in range(steps):
        values, gradient, finite = _slope(view, z, y, noise, objective)
        margins.append(-values)
        norms.append(torch.where(finite, gradient.flatten(1).norm(dim=1), torch.nan))
        length = (first or threat.radius) * (1 + math.cos(math.pi * k / steps)) / 2
        z = project(z + length * steepest(gradient, threat), x, threat)
    _, values, _ = view.differentiate(z, y, noise, objective)
    return Trace(torch.stack([*margins, -values]), torch.stack(norms), z)


def _slope(
    view: DefendedClassifier, z: Images, y: Tensor, noise: Noise, objective: Objective
) -> tuple[Tensor, Tensor, Tensor]:
    """Values and gradients, and a bool `(B,)`: whether the gradient of each image was finite."""
    spoiled = Spoiled()
    _, values, gradient = view.reporting(spoiled).differentiate(z, y, noise, objective)
    met = set(spoiled.counts.get(GRADIENT, ()))
    finite = torch.tensor([sample not in met for sample in noise.ids.tolist()], device=z.device)
    return values, gradient, finite
