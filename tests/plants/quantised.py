"""Pixels rounded to nine levels, claimed to be differentiable: the gradient is zero, and so is the finite difference."""

from typing import ClassVar

CAUGHT_BY = {"zero gradients"}


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return (8 * x).round() / 8
