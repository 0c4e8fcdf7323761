"""Exact gradients through iterative purifiers in the memory of one step, and the straight-through estimator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bench.keyed.generators import repeated, torch_state

State = tuple[Tensor, ...]
Step = Callable[..., Tensor]
Kick = Callable[[], Tensor]
Pullback = Callable[..., tuple[Tensor | None, ...]]
PIXELS = (1, 2, 3)


class GradientMode(str, Enum):
    """The derivative that the attacker takes: a property of the attacker's view, never of the defense.

    `FULL` is the exact derivative of the deployed defense; `BPDA` purifies forward and takes the identity backward
    (Athalye, Carlini, Wagner, 2018, https://arxiv.org/abs/1802.00420); `BLIND` is the classifier alone;
    `NONE` gives scores without gradients.
    """

    FULL = "full"
    BPDA = "bpda"
    BLIND = "blind"
    NONE = "none"


def unroll(step: Step, x: Tensor, *context: Tensor, steps: int, pullback: Pullback | None = None) -> Tensor:
    """Iterates `x <- step(x, *context)`; differentiable once, in the memory of one step beyond the stored iterates.

    The backward pass recomputes one step at a time from its stored input, with the same draws of torch. A step that takes an inner gradient must keep
    its graph (`create_graph=torch.is_grad_enabled()`) or come with its own `pullback`.

    References:
        Training Deep Nets with Sublinear Memory Cost (Chen, Xu, Zhang, Guestrin, 2016)
        https://arxiv.org/abs/1604.06174

    Arguments:
        step: A deterministic function of the state and the context; its result has the shape of the state.
        x: The first state.
        context: Tensors passed to every step; gradients flow to them too.
        steps: Number of steps, at least 0.
        pullback: `(x, *context, v) -> (gradient of x, *gradients of context)`: the step's vector-Jacobian product;
            None means a zero gradient. By default, autograd differentiates the step.
    """
    if not steps:
        return x
    one = _as_state(step)
    return _Unroll.apply([one] * steps, (), pullback or _automatic(one, 1), 1, x, *context)[0]


def chain(
    steps: Sequence[Callable[..., State]], state: State, *context: Tensor, kicks: Sequence[Kick | None] = ()
) -> State:
    """Applies different steps in turn, `state <- step(*state, *context)`, as `unroll` does for one step.

    The state is a tuple, so that the moments of an optimiser are differentiated together with the image.

    Arguments:
        steps: Deterministic functions of the state and the context that return a state of the same shapes.
        state: The first state, floating-point tensors.
        context: Tensors passed to every step; gradients flow to them too.
        kicks: For each step, a function whose value is added to the first tensor of the state after it, or None. It is
            noise, which is constant and therefore drawn in the forward pass only. Empty, or one per step.
    """
    if not steps:
        return state
    return _Unroll.apply(list(steps), kicks, None, len(state), *state, *context)


def straight_through(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`function(x)` forward, the identity backward."""
    value = function(x.detach()).detach()
    return value + (x - x.detach())


def clamp(x: Tensor, low: Tensor | float = 0.0, high: Tensor | float = 1.0) -> Tensor:
    """`torch.clamp(x, low, high)` with the derivative 1 instead of 0 where `x` equals `low` or `high`.

    With 0, as in torch and in hardtanh, no attack can move a black or a white pixel, although it can move inward.

    Arguments:
        x: Pixels.
        low: The lower end; a tensor gets the gradient where `x` is below it.
        high: The upper end; a tensor gets the gradient where `x` is above it.
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
        draws = []
        for step, kick in zip(steps, kicks or [None] * len(steps), strict=True):
            states += state
            draws.append(torch_state())
            state = step(*state, *context)
            if kick is not None:
                state = (state[0] + kick(), *state[1:])
        ctx.save_for_backward(*states, *context)
        ctx.steps, ctx.draws, ctx.pullback, ctx.width = steps, draws, pullback, width
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
            with repeated(ctx.draws[k]):
                parts = pullback(*state, *context, *vectors)
            vectors = tuple(_or_zero(part, part_of) for part, part_of in zip(parts, state, strict=False))
            totals = [_add(total, part) for total, part in zip(totals, parts[width:], strict=True)]
        return None, None, None, None, *vectors, *totals


def _or_zero(part: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if part is None else part


def _add(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    return part if total is None else total if part is None else total + part


def usable(gradient: Tensor) -> Tensor:
    """The gradient of each image, replaced by a finite one where an entry or the l2 norm is not finite.

    NaN becomes 0. An infinite entry becomes the largest finite entry of the image, with its sign (1 if there is none).
    If the norm still overflows, the gradient is divided by its largest absolute entry. To follow the infinite entries
    alone, the limit of the direction, would be a weaker attack: pixels that are already at 0 or 1 could not move.

    Arguments:
        gradient: One per image, `(B, C, H, W)`.
    """
    rows = spoiled_rows(gradient)
    return gradient if rows is None else mended(gradient, rows)


def spoiled_rows(gradient: Tensor) -> Tensor | None:
    """The gradients with an entry or an l2 norm that is not finite, bool `(B,)`; None if all are finite.

    Arguments:
        gradient: One per image, `(B, C, H, W)`.
    """
    if math.isfinite(float(torch.linalg.vector_norm(gradient))):  # one reduction for all images
        return None
    rows = ~torch.isfinite(torch.linalg.vector_norm(gradient, dim=PIXELS))
    return rows if rows.any() else None


def mended(gradient: Tensor, rows: Tensor) -> Tensor:
    """`usable` for known `spoiled_rows`; the other rows keep their bits."""
    filled = torch.where(gradient.isnan(), 0, gradient)
    infinite = filled.isinf()
    largest = torch.where(infinite, 0, filled).abs().amax(dim=PIXELS, keepdim=True)
    size = torch.where(largest > 0, largest, 1)
    finite = torch.where(infinite, filled.sign() * size, filled)
    overflows = ~torch.isfinite(torch.linalg.vector_norm(finite, dim=PIXELS, keepdim=True))
    finite = torch.where(overflows, finite / size, finite)
    return torch.where(rows.view(-1, 1, 1, 1), finite, gradient)


def entrance(x: Tensor, report: Callable[[Tensor], None]) -> Tensor:
    """The same images; in the backward pass their gradient is made `usable`.

    Arguments:
        x: Images `(B, C, H, W)`.
        report: Called in the backward pass with the replaced rows, bool `(B,)`, if there are any.
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
