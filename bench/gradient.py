"""Exact gradients through purifiers that iterate, in the memory of one step; and the straight-through estimate."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Step = Callable[..., Tensor]
Pullback = Callable[..., tuple[Tensor | None, ...]]


class GradientMode(str, Enum):
    """What the attacker differentiates: a property of the attacker's view, never of the defense.

    `FULL` is the exact derivative of what is deployed; `BPDA` purifies forward and takes the identity backward
    (Athalye, Carlini, Wagner, 2018, https://arxiv.org/abs/1802.00420); `BLIND` is the classifier alone;
    `NONE` gives scores without gradients.
    """

    FULL = "full"
    BPDA = "bpda"
    BLIND = "blind"
    NONE = "none"


def unroll(step: Step, x: Tensor, *context: Tensor, steps: int, pullback: Pullback | None = None) -> Tensor:
    """Iterates `x <- step(x, *context)`; differentiable once, in the memory of one step beyond the stored iterates.

    The backward pass redoes one step at a time from its stored input. A step that takes an inner gradient must either be
    differentiable (`create_graph=torch.is_grad_enabled()`) or come with its own `pullback`.

    References:
        Training Deep Nets with Sublinear Memory Cost (Chen, Xu, Zhang, Guestrin, 2016)
        https://arxiv.org/abs/1604.06174

    Arguments:
        step: A deterministic function of the state and the context, of the state's shape.
        x: The first state.
        context: Tensors that every step sees, to which gradients flow too.
        steps: Number of steps, at least 0.
        pullback: `(x, *context, v) -> (gradient of x, *gradients of context)`: the step's vector-Jacobian product;
            None stands for a gradient of zero. By default the step is differentiated by autograd.
    """
    if not steps:
        return x
    return _Unroll.apply(step, pullback or _automatic(step), steps, x, *context)


def straight_through(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`function(x)` forward, the identity backward."""
    value = function(x.detach()).detach()
    return value + (x - x.detach())


def _automatic(step: Step) -> Pullback:
    def pullback(*inputs: Tensor) -> tuple[Tensor | None, ...]:
        *arguments, v = inputs
        with torch.enable_grad():
            leaves = [argument.detach().requires_grad_() for argument in arguments]
            return torch.autograd.grad(step(*leaves), leaves, v, allow_unused=True)

    return pullback


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, step: Step, pullback: Pullback, steps: int, x: Tensor, *context: Tensor) -> Tensor:
        iterates = []
        for _ in range(steps):
            iterates.append(x)
            x = step(x, *context)
        ctx.save_for_backward(*iterates, *context)
        ctx.pullback, ctx.steps = pullback, steps
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        iterates, context = ctx.saved_tensors[: ctx.steps], ctx.saved_tensors[ctx.steps :]
        totals: list[Tensor | None] = [None] * len(context)
        for x in reversed(iterates):
            v, *parts = ctx.pullback(x, *context, v)
            v = torch.zeros_like(x) if v is None else v
            totals = [_add(total, part) for total, part in zip(totals, parts, strict=True)]
        return None, None, None, v, *totals


def _add(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    return part if total is None else total if part is None else total + part
