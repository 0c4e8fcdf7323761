"""A purifier that purifies only where nobody takes gradients: in the score."""

from typing import ClassVar

import torch
from torch.nn.functional import avg_pool2d

CAUGHT_BY = {"same forward", "same forward, float64"}


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return x if torch.is_grad_enabled() else avg_pool2d(x, 3, 1, 1)
