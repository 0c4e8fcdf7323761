"""Gradients that an attack can follow: those that are not finite are mended, image by image, and reported."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

PIXELS = (1, 2, 3)


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
