"""Scores of images under the deployed defense: logits, predictions, margins and distances, without gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.margin import margin
from bench.noise import Noise
from bench.protocols import Images
from bench.run.certificate import certified_radii
from bench.threat import ThreatModel


def scored(deployed: DefendedClassifier, x: Images, draws: Noise) -> Tensor:
    """Logits `(B, classes)` under one draw per image.

    Arguments:
        deployed: The view to score.
        x: Images `(B, C, H, W)`.
        draws: One stream per image.
    """
    with torch.no_grad():
        return deployed(x, draws)


def plain_logits(classifier: nn.Module, x: Images, size: int = 16) -> Tensor:
    """Logits `(B, classes)` of a classifier without any purifier, `size` images at a time."""
    with torch.no_grad():
        return torch.cat([classifier(part) for part in x.split(size)])


def logits(view: DefendedClassifier, x: Images, noise: Noise) -> Tensor:
    """Logits `(draws, B, classes)` of all draws, under the view's own gradient mode."""
    with torch.no_grad():
        return view.sample(x, noise)


def margins(view: DefendedClassifier, x: Images, y: Tensor, noise: Noise) -> Tensor:
    """Margins `(B, draws)` under the deployed defense."""
    return _margins(logits(view.view(GradientMode.NONE), x, noise), y)


def score(deployed: DefendedClassifier, x: Images, y: Tensor, noise: Noise, draws: int) -> tuple[Tensor, Tensor]:
    """Predictions and margins, each `(B, draws)`, under the scoring draws.

    Arguments:
        deployed: The view to score.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        noise: Streams of the images.
        draws: The number of draws.
    """
    found = logits(deployed, x, noise.of("score").spread(draws))
    return found.argmax(dim=2).T.contiguous(), _margins(found, y)


def _margins(found: Tensor, y: Tensor) -> Tensor:
    return torch.stack([margin(part, y) for part in found], dim=1)


def purified(view: DefendedClassifier, x: Images, noise: Noise) -> Images:
    """The images that the classifier sees, chunk by chunk."""
    with torch.no_grad():
        return view.view(GradientMode.NONE).shown(x, noise)


def certified(deployed: DefendedClassifier, x: Images, y: Tensor, noise: Noise) -> Sequence[float | None]:
    """Certified radii; None for each image if the defense has no certificate."""
    with torch.no_grad():
        return certified_radii(deployed, x, y, noise) or [None] * len(x)


def distance(delta: Tensor, threat: ThreatModel) -> Tensor:
    """The length of each perturbation in the threat's norm, `(B,)`."""
    return torch.linalg.vector_norm(delta.flatten(1), ord=threat.order, dim=1)
