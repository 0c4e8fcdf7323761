"""Purifiers whose derivative is not finite somewhere, each beside a twin of the same values whose derivative is."""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F

from bench.gradient import clamp


def _slopes(x):
    return F.pad(x[..., 1:] - x[..., :-1], (0, 1)), F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))


def _back(u, v):
    return (u - F.pad(u[..., :-1], (1, 0))) + (v - F.pad(v[..., :-1, :], (0, 0, 1, 0)))


class Division:
    """Three steps down the total variation: 0 / 0 is guarded after the division, so that flat parts have NaN."""

    deterministic: ClassVar[bool] = True

    def unit(self, u, v):
        length = (u * u + v * v).sqrt()
        return torch.where(length > 0, u / length, 0), torch.where(length > 0, v / length, 0)

    def purify(self, x, noise):
        for _ in range(3):
            x = clamp(x + 0.01 * _back(*self.unit(*_slopes(x))))
        return x


class DivisionTwin(Division):
    def unit(self, u, v):
        square = u * u + v * v
        length = torch.where(square > 0, square, 1).sqrt()
        return u / length, v / length


class Root:
    """The square of a square root: 0 times infinity at black pixels."""

    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return x.sqrt() ** 2


class RootTwin(Root):
    def purify(self, x, noise):
        return torch.where(x > 0, torch.where(x > 0, x, 1).sqrt() ** 2, x)


class Length:
    """A step that is weighted by the length of the slope, which has no derivative at 0: NaN at flat parts."""

    deterministic: ClassVar[bool] = True

    def length(self, square):
        return square.sqrt()

    def purify(self, x, noise):
        u, v = _slopes(x)
        weight = torch.exp(-self.length(u * u + v * v))
        return clamp(x + 0.1 * _back(weight * u, weight * v))


class LengthTwin(Length):
    def length(self, square):
        return torch.where(square > 0, torch.where(square > 0, square, 1).sqrt(), 0)


class Power:
    """A power below 1, whose derivative at black pixels is infinite."""

    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return x**0.9


class PowerTwin(Power):
    """Straight below 1e-4, where it differs by 1e-5 at most: a slope that is infinite has no other twin."""

    def purify(self, x, noise):
        return torch.where(x > 1e-4, torch.where(x > 1e-4, x, 1) ** 0.9, x * 1e-4**-0.1)


class Entropy:
    """x log x, guarded after the logarithm: NaN at black pixels."""

    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return clamp(x + 0.1 * torch.where(x > 0, x * x.log(), 0))


class EntropyTwin(Entropy):
    """Below exp(-10) it is less than 0, and so 0 with a derivative of 0."""

    def purify(self, x, noise):
        above = x > math.exp(-10)
        return torch.where(above, clamp(x + 0.1 * x * torch.where(above, x, 1).log()), 0)


class _Steep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, v):
        return 1e30 * v


class Steep:
    """The images themselves, with a derivative so large that its l2 norm overflows in float32."""

    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return _Steep.apply(x)


class SteepTwin(Steep):
    def purify(self, x, noise):
        return x.clone()


class Watched(DivisionTwin):
    """Counts the images that come in with pixels that are not finite."""

    bad: ClassVar[int] = 0

    def purify(self, x, noise):
        type(self).bad += int((~torch.isfinite(x.detach())).flatten(1).any(dim=1).sum())
        return super().purify(x, noise)


TRAPS = (Division, Root, Length, Power, Entropy, Steep)
