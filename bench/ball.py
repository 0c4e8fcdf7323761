"""Balls of a threat model: projections, steepest directions and uniform draws, per image."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.noise import Noise
from bench.protocols import Images
from bench.threat import ThreatModel

PIXELS = (1, 2, 3)


def project(x: Images, start: Images, threat: ThreatModel) -> Images:
    """The nearest point of the ball around `start` (for l2 along the ray), then clamped to [0, 1]."""
    if threat.norm == "linf":
        return torch.clamp(x, start - threat.radius, start + threat.radius).clamp(0, 1)
    delta = x - start
    length = torch.linalg.vector_norm(delta, dim=PIXELS, keepdim=True)
    return (start + delta * (threat.radius / length.clamp_min(threat.radius))).clamp(0, 1)


def steepest(gradient: Tensor, threat: ThreatModel) -> Tensor:
    """The direction of unit norm that increases a linear function of this gradient most; 0 where the gradient is 0."""
    if threat.norm == "linf":
        return gradient.sign()
    length = torch.linalg.vector_norm(gradient, dim=PIXELS, keepdim=True)
    return torch.where(length > 0, gradient / length, 0)


def uniform_in_ball(x: Images, threat: ThreatModel, noise: Noise) -> Images:
    """A uniform draw from the ball around each image, clamped to [0, 1]."""
    if threat.norm == "linf":
        return (x + threat.radius * (2 * noise.uniform(x) - 1)).clamp(0, 1)
    direction = steepest(noise.normal(x), threat)
    share = noise.uniform(x[:, :1, :1, :1], step=1) ** (1 / x[0].numel())
    return (x + threat.radius * share * direction).clamp(0, 1)
