"""Exact gradients through purifiers that iterate, in the memory of one step; and the straight-through estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

State = tuple[Tensor, ...]
Step = Callable[..., Tensor]
Kick = Callable[[], Tensor]
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
    one = _as_state(step)
    return _Unroll.apply([one] * steps, (), pullback or _automatic(one, 1), 1, x, *context)[0]


def chain(
    steps: Sequence[Callable[..., State]], state: State, *context: Tensor, kicks: Sequence[Kick | None] = ()
) -> State:
    """Applies steps that differ, `state <- step(*state, *context)`; differentiable once, in the memory of one step beyond the stored states.

    The state is a tuple, so that an optimiser's moments travel with the image and are differentiated with it. As with
    `unroll`, a step that takes an inner gradient keeps its graph if gradients are enabled.

    Arguments:
        steps: Deterministic functions of the state and the context that return a state of the same shapes.
        state: The first state, floating-point tensors.
        context: Tensors that every step sees, to which gradients flow too.
        kicks: What is added to the first tensor of the state after each step, None for nothing: noise, which is constant, and so
            is drawn forward alone. As many as steps, or none at all.
    """
    if not steps:
        return state
    return _Unroll.apply(list(steps), kicks, None, len(state), *state, *context)


def straight_through(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`function(x)` forward, the identity backward."""
    value = function(x.detach()).detach()
    return value + (x - x.detach())


def _as_state(step: Step) -> Callable[..., State]:
    return lambda *inputs: (step(*inputs),)


def _automatic(step: Callable[..., State], width: int) -> Pullback:
    def pullback(*inputs: Tensor) -> tuple[Tensor | None, ...]:
        arguments, vectors = inputs[:-width], inputs[-width:]
        with torch.enable_grad():
            leaves = [argument.detach().requires_grad_() for argument in arguments]
            return torch.autograd.grad(step(*leaves), leaves, vectors, allow_unused=True)

    return pullback


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        steps: list[Callable[..., State]],
        kicks: Sequence[Kick | None],
        pullback: Pullback | None,
        width: int,
        *tensors: Tensor,
    ) -> State:
        state, context = tensors[:width], tensors[width:]
        states: list[Tensor] = []
        for step, kick in zip(steps, kicks or [None] * len(steps), strict=True):
            states += state
            state = step(*state, *context)
            if kick is not None:
                state = (state[0] + kick(), *state[1:])
        ctx.save_for_backward(*states, *context)
        ctx.steps, ctx.pullback, ctx.width = steps, pullback, width
        return tuple(state)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *vectors: Tensor) -> tuple[Any, ...]:
        width, stored = ctx.width, ctx.width * len(ctx.steps)
        states, context = ctx.saved_tensors[:stored], ctx.saved_tensors[stored:]
        totals: list[Tensor | None] = [None] * len(context)
        for k in reversed(range(len(ctx.steps))):
            state = states[k * width : (k + 1) * width]
            pullback = ctx.pullback or _automatic(ctx.steps[k], width)
            parts = pullback(*state, *context, *vectors)
            vectors = tuple(_or_zero(part, part_of) for part, part_of in zip(parts, state, strict=False))
            totals = [_add(total, part) for total, part in zip(totals, parts[width:], strict=True)]
        return None, None, None, None, *vectors, *totals


def _or_zero(part: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if part is None else part


def _add(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    return part if total is None else total if part is None else total + part
