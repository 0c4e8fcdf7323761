"""The ball of a threat model: projections, steepest directions and uniform draws, per image."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.gradient import PIXELS, usable
from bench.noise import Noise
from bench.protocols import Images
from bench.threat import ThreatModel

SPARSE = 0.01
"""Share of the pixels that one l1 step moves; moving a single pixel would be exact, but far too slow."""


def project(x: Images, start: Images, threat: ThreatModel) -> Images:
    """The nearest point of the ball around `start`, then clamped to [0, 1]."""
    if threat.norm == "linf":
        return torch.clamp(x, start - threat.radius, start + threat.radius).clamp(0, 1)
    delta = x - start
    if threat.norm == "l1":
        return (start + _shrink(delta, threat.radius)).clamp(0, 1)
    length = torch.linalg.vector_norm(delta, dim=PIXELS, keepdim=True)
    return (start + delta * (threat.radius / length.clamp_min(threat.radius))).clamp(0, 1)


def steepest(gradient: Tensor, threat: ThreatModel) -> Tensor:
    """The direction of unit norm with the largest inner product with the gradient; 0 where the gradient is 0.

    The result is finite even if the gradient is not (`bench.gradient.usable`).

    For l1, the signs of the largest hundredth of the gradient.

    References:
        Adversarial Training and Robustness for Multiple Perturbations (Tramer, Boneh, 2019)
        https://arxiv.org/abs/1904.13000
    """
    gradient = usable(gradient)
    if threat.norm == "linf":
        return gradient.sign()
    if threat.norm == "l1":
        count = max(1, int(SPARSE * gradient.shape[1:].numel()))
        flat = gradient.flatten(1)
        rows = flat.abs().topk(count, dim=1).indices
        return torch.zeros_like(flat).scatter(1, rows, flat.gather(1, rows).sign() / count).view_as(gradient)
    return _unit(gradient)


def uniform_in_ball(x: Images, threat: ThreatModel, noise: Noise) -> Images:
    """A uniform draw from the ball around each image, clamped to [0, 1]."""
    if threat.norm == "linf":
        return (x + threat.radius * (2 * noise.uniform(x) - 1)).clamp(0, 1)
    if threat.norm == "l1":
        size, sign = -noise.uniform(x).log(), (noise.uniform(x, step=1) - 0.5).sign()
        spare = -noise.uniform(x[:, :1, :1, :1], step=2).log()
        return (x + threat.radius * sign * size / (size.sum(dim=PIXELS, keepdim=True) + spare)).clamp(0, 1)
    direction = steepest(noise.normal(x), threat)
    share = noise.uniform(x[:, :1, :1, :1], step=1) ** (1 / x[0].numel())
    return (x + threat.radius * share * direction).clamp(0, 1)


def _unit(gradient: Tensor) -> Tensor:
    """Each image's gradient over its l2 norm; over its largest entry first if the norm's square would underflow."""
    length = torch.linalg.vector_norm(gradient, dim=PIXELS, keepdim=True)
    direction = torch.where(length > 0, gradient / length, 0)
    precision = torch.finfo(gradient.dtype)
    tiny = length < (precision.tiny / precision.eps) ** 0.5
    if not tiny.any():
        return direction
    largest = gradient.abs().amax(dim=PIXELS, keepdim=True)
    scaled = torch.where(largest > 0, gradient / largest, 0)
    length = torch.linalg.vector_norm(scaled, dim=PIXELS, keepdim=True)
    return torch.where(tiny, torch.where(length > 0, scaled / length, 0), direction)


def _shrink(delta: Tensor, radius: float) -> Tensor:
    """The nearest point of the l1 ball around 0: every absolute value shrinks by the same amount, down to 0.

    References:
        Efficient Projections onto the l1-Ball for Learning in High Dimensions (Duchi, Shalev-Shwartz, Singer, Chandra, 2008)
        https://doi.org/10.1145/1390156.1390191
    """
    flat = delta.flatten(1)
    sizes = flat.abs().sort(dim=1, descending=True).values
    excess = (sizes.cumsum(dim=1) - radius) / torch.arange(1, flat.shape[1] + 1, device=delta.device)
    # Rounding can hide a small radius beside a large size: then no size exceeds its excess.
    last = ((sizes > excess).sum(dim=1, keepdim=True) - 1).clamp_min(0)
    amount = excess.gather(1, last).clamp_min(0)
    return (flat.sign() * (flat.abs() - amount).clamp_min(0)).view_as(delta)
