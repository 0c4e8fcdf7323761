"""A small residual classifier for 32 x 32 and other small images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 8


class SmallResNet(nn.Module):
    """A convolution, then stages of half the resolution with residual blocks, and the mean over positions.

    Smooth activations, group normalisation, no dropout: each row of the output depends on its own row alone.

    References:
        Identity Mappings in Deep Residual Networks (He, Zhang, Ren, Sun, 2016)
        https://arxiv.org/abs/1603.05027
        Group Normalization (Wu, He, 2018)
        https://arxiv.org/abs/1803.08494

    Arguments:
        classes: Number of classes.
        channels: Colour channels of the images.
        mean: Mean of the data, subtracted from the images.
        spread: Standard deviation of the data, which divides them.
        widths: Channels at full resolution and in each stage, multiples of 8.
        blocks: Residual blocks in each stage.
    """

    def __init__(
        self,
        *,
        classes: int = 10,
        channels: int = 3,
        mean: float = 0.473,
        spread: float = 0.251,
        widths: Sequence[int] = (32, 64, 128, 128),
        blocks: int = 1,
    ) -> None:
        super().__init__()
        self.mean, self.spread = mean, spread
        self.enter = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [_Activated(inputs, outputs, stride=2), *(_Residual(outputs) for _ in range(blocks))]
        self.stages = nn.Sequential(*layers)
        self.norm = nn.GroupNorm(GROUPS, widths[-1])
        self.readout = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images `(B, C, H, W)` in [0, 1] to logits `(B, classes)`."""
        h = self.stages(self.enter((x - self.mean) / self.spread))
        return self.readout(F.silu(self.norm(h)).mean(dim=(2, 3)))


class _Activated(nn.Module):
    """Normalisation and activation, then a 3 x 3 convolution."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, inputs)
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        return self.conv(F.silu(self.norm(h)))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(_Activated(channels, channels), _Activated(channels, channels))

    def forward(self, h: Tensor) -> Tensor:
        return h + self.branch(h)
