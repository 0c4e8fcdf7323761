"""The moves of the Square Attack: the sizes and positions of its windows, and the values inside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.ball import project, steepest
from bench.noise import Noise
from bench.protocols import Images
from bench.threat import ThreatModel

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After these queries, counted out of 10,000, a window covers half as many pixels."""
TINY = 1e-12
"""Avoids a division by zero where a window is empty."""


@dataclass(frozen=True)
class Windows:
    """The moves of one norm: the first points, and the candidates of each query.

    Arguments:
        x: Images `(B, C, H, W)`.
        threat: The ball.
        p: Share of the pixels in the first window.
        queries: Length of the schedule.
    """

    x: Images
    threat: ThreatModel
    p: float
    queries: int

    numbers: ClassVar[int]
    """Uniform numbers that one move uses, besides one per channel."""
    smallest: ClassVar[int]

    def start(self, noise: Noise) -> Images:
        """The first point of each image."""
        raise NotImplementedError

    def move(self, rows: Tensor, z: Images, u: Tensor, k: int) -> Images:
        """The candidates of query `k` for these rows, now at `z`, from uniform numbers `(rows, numbers + C)`."""
        raise NotImplementedError

    def side(self, k: int) -> int:
        """Side of the windows of query `k`, in pixels."""
        height, width = self.x.shape[2:]
        halved = sum(10_000 * k > after * self.queries for after in HALVINGS)
        wanted = max(round(math.sqrt(self.p / 2**halved * height * width)), self.smallest)
        return min(wanted, height, width)

    def window(self, corner: Tensor, side: int) -> Tensor:
        """The pixels of one window per image, `(B, C, side * side)`, placed by two uniform numbers each."""
        channels, height, width = self.x.shape[1:]
        top, left = (corner[:, 0] * (height - side + 1)).long(), (corner[:, 1] * (width - side + 1)).long()
        offsets = torch.arange(side, device=corner.device)
        inside = (offsets[:, None] * width + offsets).flatten()
        return ((top * width + left)[:, None, None] + inside).expand(-1, channels, -1)


class Flips(Windows):
    """linf: each channel of the window goes to one border of the ball."""

    numbers, smallest = 2, 1

    def start(self, noise: Noise) -> Images:
        """Vertical stripes of random sign."""
        signs = (noise.uniform(self.x[:, :, :1]) - 0.5).sign()
        return (self.x + self.threat.radius * signs).clamp(0, 1)

    def move(self, rows: Tensor, z: Images, u: Tensor, k: int) -> Images:
        """Sets each channel of the window to `x + eps` or `x - eps`, where the paper's step and projection end."""
        where = self.window(u[:, :2], self.side(k))
        signs = (u[:, 2:] - 0.5).sign().to(z.dtype)[:, :, None]
        values = self.x[rows].flatten(2).gather(2, where) + self.threat.radius * signs
        return z.flatten(2).scatter(2, where, values.clamp(0, 1)).view_as(z)


class Masses(Windows):
    """l2: moves the perturbation of a second window, and the unused norm, into a first one."""

    numbers, smallest = 5, 3

    def side(self, k: int) -> int:
        """Side of the windows: odd, so that the shape has a centre, unless that is larger than the image."""
        return min(super().side(k) | 1, *self.x.shape[2:])

    def start(self, noise: Noise) -> Images:
        """A grid of five by five shapes of random sign and direction, together of norm eps."""
        count, channels, height, width = self.x.shape
        side = max(1, min(height, width) // 5)
        down, across = height // side, width // side
        u = noise.uniform(self.x.new_empty(count, channels + 1, down, 1, across, 1))
        shape = mass(side, self.x)
        tiles = torch.where(u[:, :1] > 0.5, shape.T[:, None], shape[:, None]) * (u[:, 1:] - 0.5).sign()
        above, before = (height - down * side) // 2, (width - across * side) // 2
        rest = (before, width - across * side - before, above, height - down * side - above)
        delta = F.pad(tiles.reshape(count, channels, down * side, across * side), rest)
        return (self.x + self.threat.radius * steepest(delta, self.threat)).clamp(0, 1)

    def move(self, rows: Tensor, z: Images, u: Tensor, k: int) -> Images:
        """Algorithm 3 of the paper."""
        x, side, u = self.x[rows], self.side(k), u.to(z.dtype)
        first, second = self.window(u[:, :2], side), self.window(u[:, 2:4], side)
        delta = (z - x).flatten(2)
        rest = delta.scatter(2, second, 0).scatter_(2, first, 0)
        held, kept = delta.square().sum(dim=2, keepdim=True), rest.square().sum(dim=2, keepdim=True)
        unused = (self.threat.radius**2 - held.sum(dim=1, keepdim=True)).clamp_min(0)
        length = ((held - kept).clamp_min(0) + unused / x.shape[1]).sqrt()
        shape = mass(side, x)
        shapes = torch.where(u[:, 4, None] > 0.5, shape.T.flatten(), shape.flatten())[:, None]
        mixed = (u[:, 5:] - 0.5).sign()[:, :, None] * shapes + _unit(delta.gather(2, first))
        return project(x + rest.scatter_(2, first, length * _unit(mixed)).view_as(x), x, self.threat)


def mass(side: int, like: Tensor) -> Tensor:
    """The shape of an l2 window, of unit norm: two halves of opposite sign side by side, `(side, side)`.

    Each half is `eta[r, s] = sum of 1 / j^2 for j from d + 1 to n + 1`, where `d` is the distance from its centre in the
    maximum norm and `n = side // 2`.

    Arguments:
        side: In pixels.
        like: Gives dtype and device.
    """
    half, n = side // 2, side // 2
    steps = torch.arange(1, n + 2, dtype=like.dtype, device=like.device)
    falling = steps.pow(-2).flip(0).cumsum(0).flip(0)
    place = torch.arange(side, device=like.device)
    across = torch.where(place < half, place - half // 2, place - half - (side - half) // 2).abs()
    eta = falling[torch.maximum((place - n).abs()[:, None], across)] * torch.where(place < half, 1, -1)
    return eta / torch.linalg.vector_norm(eta)


def _unit(values: Tensor) -> Tensor:
    return values / torch.linalg.vector_norm(values, dim=2, keepdim=True).clamp_min(TINY)
