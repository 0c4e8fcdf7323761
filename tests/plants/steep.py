"""A staircase of steep sigmoids, which is differentiable and whose gradient points nowhere useful."""

from typing import ClassVar

import torch

LEVELS, STEEPNESS = 4, 1000.0


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        scaled = LEVELS * x
        low = scaled.detach().floor()
        return (low + torch.sigmoid(STEEPNESS * (scaled - low - 0.5))) / LEVELS
