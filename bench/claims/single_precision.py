"""The error of a gradient in float32, where tiny differences drown in rounding.

Over a step as long as float32 needs, the gradient itself changes. So the difference quotient is compared with the mean of the
gradient along the step, which equals it for exact code (fundamental theorem of calculus; Gauss-Legendre quadrature):

    (f(x + h d) - f(x - h d)) / 2h  =  mean over t in [-1, 1] of g(x + t h d) . d

The direction d is the gradient itself, and random ones. Along random directions the root mean square of the difference, times
the square root of the number of pixels, is the length of the gradient's error. All errors are relative to the gradient's length.
A wrong gradient has the same error at every step. If the errors at two steps differ, the function is too rough for this test,
and nothing was measured.

References:
    Calculation of Gauss Quadrature Rules (Golub, Welsch, 1969)
    https://doi.org/10.2307/2004418
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from bench.defended import DefendedClassifier
from bench.noise import Noise
from bench.protocols import Images

CLOSE = 0.03
"""Largest relative error that counts as exact.

Built-in purifiers that are smooth enough give 1e-4 to 1e-2. A gradient that is off by 22 % gives .16; one of ten steps under
`no_grad` gives .1 to .5.
"""
STEPS = (0.01, 0.003, 0.03, 0.001)
"""Lengths in l2 for 784 pixels; along random directions they grow with the square root of the number of pixels.

The first step that shows an exact gradient counts.
"""
SPREAD = 0.2
"""Largest relative difference between the errors at two steps that are taken for the same error."""
DIRECTIONS, PIXELS = 2, 784
NODES = (-(0.6**0.5), 0.0, 0.6**0.5)
WEIGHTS = (5 / 18, 8 / 18, 5 / 18)
"""Nodes and weights of Gauss-Legendre quadrature, exact for polynomials of degree 5."""


def single_error(model: DefendedClassifier, x: Images, noise: Noise) -> float | None:
    """Relative error of the gradient of a projection of the logits; None if the function is too rough to measure it.

    Arguments:
        model: A float32 model under full gradients.
        x: Images without pixels at 0 or 1, float32.
        noise: Their draws.
    """
    probe = _Probe(model, x, noise)
    parts: dict[float, Tensor] = {}
    for step in STEPS:
        parts[step] = probe.deviations(step)
        if _size(parts[step]) < CLOSE:
            return _size(parts[step])
    lasting = [min(_size(one), _size(other)) for one, other in combinations(parts.values(), 2) if _agree(one, other)]
    return min(lasting, default=None)


def _agree(one: Tensor, other: Tensor) -> bool:
    """Whether two steps show the same error, which is then the gradient's."""
    return float((one - other).norm()) <= SPREAD * float(torch.maximum(one.norm(), other.norm()))


def _size(deviations: Tensor) -> float:
    """The larger of the errors along the gradient and along random directions, each a root mean square over images."""
    return max(float(part.square().mean().sqrt()) for part in (deviations[:1], deviations[1:]))


class _Probe:
    """A projection of the logits of some images, its differences and its gradients."""

    def __init__(self, model: DefendedClassifier, x: Images, noise: Noise) -> None:
        self.model, self.x, self.noise = model, x, noise
        self.readout = noise.of("check").normal(model(x, noise).detach(), step=1).double()
        stretch = x[0].numel() ** 0.5
        own = _unit(self._gradient(x.double()))
        draws = [_unit(noise.of("check").normal(x, step=4 + k).double()) for k in range(DIRECTIONS)]
        self.ways = [(own, 1.0, 1.0), *((draw, stretch / PIXELS**0.5, stretch) for draw in draws)]

    def deviations(self, step: float) -> Tensor:
        """Difference quotients minus mean gradients, relative to the gradient's length: `(1 + DIRECTIONS, B)`."""
        rows = [self._deviation(way, step * length, weight) for way, length, weight in self.ways]
        apart, quotients, norms = (torch.stack(column) for column in zip(*rows, strict=True))
        seen = torch.maximum(quotients[0].abs(), quotients[1:].square().mean(dim=0).sqrt())
        return apart / torch.maximum(norms.mean(dim=0), seen).clamp_min(1e-12)

    def _deviation(self, way: Tensor, step: float, weight: float) -> tuple[Tensor, Tensor, Tensor]:
        x = self.x.double()
        quotient = (self._project(x + step * way) - self._project(x - step * way)) / (2 * step)
        gradients = [self._gradient(x + node * step * way) for node in NODES]
        mean = sum(w * (g * way).flatten(1).sum(dim=1) for w, g in zip(WEIGHTS, gradients, strict=True))
        norm = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).mean(dim=0)
        return weight * (quotient - mean), weight * quotient, norm

    def _project(self, x: Tensor) -> Tensor:
        return (self.model(x.to(self.x.dtype), self.noise).detach().double() * self.readout).sum(dim=1)

    def _gradient(self, x: Tensor) -> Tensor:
        rows = torch.arange(len(x), device=x.device)
        _, _, gradient = self.model.differentiate(
            x.to(self.x.dtype), rows, self.noise, lambda logits, rows: (logits.double() * self.readout[rows]).sum(dim=1)
        )
        return gradient.double()


def _unit(direction: Tensor) -> Tensor:
    return direction / direction.flatten(1).norm(dim=1).clamp_min(1e-30).view(-1, 1, 1, 1)
