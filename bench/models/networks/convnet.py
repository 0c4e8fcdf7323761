"""A small convolutional classifier for 28 x 28 and other small images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class SmallConvNet(nn.Module):
    """Four convolutions and a hidden layer: smooth activations, no dropout, no batch statistics.

    Arguments:
        classes: Number of classes.
        channels: Colour channels of the images.
        size: Height and width of the images, a multiple of 4.
        mean: Mean of the data, subtracted from the images.
        spread: Standard deviation of the data, which divides them.
        widths: Channels after each convolution, multiples of 8.
    """

    def __init__(
        self,
        *,
        classes: int = 10,
        channels: int = 1,
        size: int = 28,
        mean: float = 0.2860,
        spread: float = 0.3530,
        widths: Sequence[int] = (24, 48, 64, 64),
    ) -> None:
        super().__init__()
        self.mean, self.spread = mean, spread
        first, second, third, last = widths
        self.features = nn.Sequential(
            *_stage(channels, first, stride=1),
            *_stage(first, second, stride=2),
            *_stage(second, third, stride=2),
            *_stage(third, last, stride=1),
        )
        self.readout = nn.Sequential(
            nn.Flatten(), nn.Linear(last * (size // 4) ** 2, 128), nn.SiLU(), nn.Linear(128, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps images `(B, C, H, W)` in [0, 1] to logits `(B, classes)`."""
        return self.readout(self.features((x - self.mean) / self.spread))


def _stage(inputs: int, outputs: int, *, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(8, outputs),
        nn.SiLU(),
    )
