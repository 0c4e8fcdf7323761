"""A small denoising network for 28 x 28 and other small images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """Two 3 x 3 convolutions around a smooth activation, shifted by the noise level, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h: Tensor, shift: Tensor) -> Tensor:
        """Maps `(B, channels, H, W)` to the same shape; `shift` is `(B or 1, channels)`."""
        return h + self.second(F.silu(self.first(h) + shift[:, :, None, None]))


class SmallUNet(nn.Module):
    """A two-level U-Net on pixel-unshuffled images: smooth activations, no dropout, no batch statistics.

    Each row of the output depends on its own row alone, and second derivatives exist everywhere.

    References:
        U-Net: Convolutional Networks for Biomedical Image Segmentation (Ronneberger, Fischer, Brox, 2015)
        https://arxiv.org/abs/1505.04597

    Arguments:
        channels: Colour channels of the images; height and width must be multiples of 4.
        widths: Channels at half and at quarter resolution.
        blocks: Residual blocks at half resolution (each way) and at quarter resolution.
    """

    def __init__(
        self, *, channels: int = 1, widths: tuple[int, int] = (16, 64), blocks: tuple[int, int] = (1, 2)
    ) -> None:
        super().__init__()
        fine, coarse = widths
        self.sizes = [fine] * blocks[0] + [coarse] * blocks[1] + [fine] * blocks[0]
        self.enter = nn.Conv2d(4 * channels, fine, 3, padding=1)
        self.down = nn.Conv2d(4 * fine, coarse, 1)
        self.up = nn.Conv2d(coarse, 4 * fine, 1)
        self.leave = nn.Conv2d(fine, 4 * channels, 3, padding=1)
        self.residuals = nn.ModuleList(Residual(size) for size in self.sizes)
        self.level = nn.Sequential(nn.Linear(16, 64), nn.SiLU(), nn.Linear(64, sum(self.sizes)))
        self.depth = blocks[0]
        self.frequencies: Tensor
        self.register_buffer("frequencies", torch.linspace(0.5, 4.0, 8), persistent=False)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Maps images `(B, C, H, W)` and noise levels `(B,)` or `(1,)` to images of the same shape."""
        phases = level[:, None] * self.frequencies
        shifts = self.level(torch.cat([phases.sin(), phases.cos()], dim=1)).split(self.sizes, dim=1)
        steps = list(zip(self.residuals, shifts, strict=True))
        h = _apply(steps[: self.depth], self.enter(F.pixel_unshuffle(x, 2)))
        low = _apply(steps[self.depth : -self.depth], self.down(F.pixel_unshuffle(h, 2)))
        h = _apply(steps[-self.depth :], h + F.pixel_shuffle(self.up(low), 2))
        return F.pixel_shuffle(self.leave(h), 2)


def _apply(steps: list[tuple[nn.Module, Tensor]], h: Tensor) -> Tensor:
    for residual, shift in steps:
        h = residual(h, shift)
    return h
