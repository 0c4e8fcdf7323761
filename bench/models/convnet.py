"""A small convolutional classifier for 28 x 28 and other small images."""

from __future__ import annotations

from torch import Tensor, nn


class SmallConvNet(nn.Module):
    """Four convolutions and a hidden layer: smooth activations, no dropout, no batch statistics.

    Arguments:
        classes: Number of classes.
        channels: Colour channels of the images.
        size: Height and width of the images, a multiple of 4.
        mean: Mean of the data, subtracted from the images.
        spread: Standard deviation of the data, which divides them.
    """

    def __init__(
        self, *, classes: int = 10, channels: int = 1, size: int = 28, mean: float = 0.2860, spread: float = 0.3530
    ) -> None:
        super().__init__()
        self.mean, self.spread = mean, spread
        self.features = nn.Sequential(
            *_stage(channels, 24, stride=1),
            *_stage(24, 48, stride=2),
            *_stage(48, 64, stride=2),
            *_stage(64, 64, stride=1),
        )
        self.readout = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * (size // 4) ** 2, 128), nn.SiLU(), nn.Linear(128, classes)
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
