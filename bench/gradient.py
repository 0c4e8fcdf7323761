"""Exact gradients through purifiers that iterate, in the memory of one step; and the straight-through estimate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

State = tuple[Tensor, ...]
Step = Callable[..., Tensor]
Kick = Callable[[], Tensor]
Pullback = Callable[..., tuple[Tensor | None, ...]]
PIXELS = (1, 2, 3)


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


def clamp(x: Tensor, low: Tensor | float = 0.0, high: Tensor | float = 1.0) -> Tensor:
    """`x` where it lies in `[low, high]`, else the nearer end: the values of `torch.clamp`, with the derivative 1 at both ends too.

    There torch has the derivative 0 (hardtanh as well), so that no attack can move a black or a white pixel, although it can move inward.

    Arguments:
        x: Pixels.
        low: The lower end; a tensor has the derivative where it is taken.
        high: The upper end, likewise.
    """
    return torch.where(x < low, low, torch.where(x > high, high, x))


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


def usable(gradient: Tensor) -> Tensor:
    """The gradient itself where it and its l2 norm are finite; elsewhere a finite one to follow in its place.

    NaN counts as 0, and an infinite entry as the largest finite one of the image, with its sign (1, if there is none). If the norm
    overflows in the type, the gradient is divided by its largest absolute entry. The limit of the direction, infinite entries
    alone, would be weaker: pixels at the border of [0, 1] that cannot follow it would hold all others back.

    Arguments:
        gradient: Of each image, `(B, C, H, W)`.
    """
    rows = spoiled_rows(gradient)
    return gradient if rows is None else mended(gradient, rows)


def spoiled_rows(gradient: Tensor) -> Tensor | None:
    """Which gradients have an entry or an l2 norm that is not finite, bool `(B,)`; None if none has.

    Arguments:
        gradient: Of each image, `(B, C, H, W)`.
    """
    if math.isfinite(float(torch.linalg.vector_norm(gradient))):  # one reduction for all images
        return None
    rows = ~torch.isfinite(torch.linalg.vector_norm(gradient, dim=PIXELS))
    return rows if rows.any() else None


def mended(gradient: Tensor, rows: Tensor) -> Tensor:
    """What `usable` gives of gradients of which these rows are spoiled; the others keep their bits."""
    known = torch.where(gradient.isnan(), 0, gradient)
    endless = known.isinf()
    largest = torch.where(endless, 0, known).abs().amax(dim=PIXELS, keepdim=True)
    size = torch.where(largest > 0, largest, 1)
    whole = torch.where(endless, known.sign() * size, known)
    overflows = ~torch.isfinite(torch.linalg.vector_norm(whole, dim=PIXELS, keepdim=True))
    whole = torch.where(overflows, whole / size, whole)
    return torch.where(rows.view(-1, 1, 1, 1), whole, gradient)


def entrance(x: Tensor, report: Callable[[Tensor], None]) -> Tensor:
    """The same images, such that the gradient that comes back to them is `usable`.

    Arguments:
        x: Images `(B, C, H, W)`.
        report: Told, in the backward pass, which rows had to be mended, bool `(B,)`; not called if none had to.
    """
    return _Entrance.apply(x, report) if x.requires_grad else x


class _Entrance(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, report: Callable[[Tensor], None]) -> Tensor:
        ctx.report = report
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor, None]:
        rows = spoiled_rows(v.detach())
        if rows is None:
            return v, None
        ctx.report(rows)
        return mended(v, rows), None
