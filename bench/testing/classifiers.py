"""Linear classifiers with fixed weights, whose worst point in a ball is known in closed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.noise import Noise
from bench.protocols import Images


class TwoClasses(nn.Module):
    """A linear classifier of two classes in float64, with fixed weights.

    Arguments:
        pixels: Number of values in an image.
    """

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.weight = Noise(11, torch.arange(2), "check").normal(torch.empty(2, pixels, dtype=torch.float64))

    def forward(self, x: Images) -> Tensor:
        """Logits `(B, 2)`."""
        return (x.flatten(1) - 0.5) @ self.weight.T.to(x.dtype) + torch.tensor([0.0, 3.0], dtype=x.dtype)


class FourClasses(TwoClasses):
    """The same with two more classes that never win, for losses that need three or four classes."""

    def forward(self, x: Images) -> Tensor:
        """Logits `(B, 4)`."""
        logits = super().forward(x)
        return torch.cat([logits, logits.new_tensor([-1000.0, -1001.0]).expand(len(x), 2)], dim=1)
