"""Adam on an image, differentiable through its moments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from bench.gradient import chain

FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-8
"""Decay of the moments and the term in the denominator: the defaults of the paper and of torch."""


def adam(loss: Callable[[int, Tensor], Tensor], z: Tensor, *, steps: int, step_size: float) -> Tensor:
    """`z` after some steps of Adam; the gradient through them, moments included, is exact and takes the memory of one step.

    References:
        Adam: A Method for Stochastic Optimization (Kingma, Ba, 2015)
        https://arxiv.org/abs/1412.6980

    Arguments:
        loss: A function of the step number and the images that gives one value per image, `(B,)`; twice differentiable.
        z: The first iterate, shape `(B, ...)`.
        steps: Number of steps, at least 0.
        step_size: Step size.
    """
    zero = torch.zeros_like(z)
    return chain([partial(_step, loss, step_size, k) for k in range(steps)], (z, zero, zero))[0]


def _step(
    loss: Callable[[int, Tensor], Tensor], step_size: float, k: int, z: Tensor, mean: Tensor, square: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        leaf = z if graph else z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(k, leaf).sum(), leaf, create_graph=graph)
    mean = FIRST * mean + (1 - FIRST) * gradient
    square = SECOND * square + (1 - SECOND) * gradient**2
    length = _root(square / (1 - SECOND ** (k + 1))) + EPSILON
    return z - step_size / (1 - FIRST ** (k + 1)) * mean / length, mean, square


def _root(x: Tensor) -> Tensor:
    """The square root, with derivative 0 at 0: there a pixel has not had a gradient yet."""
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1).sqrt(), 0)
