"""A step is computed under `no_grad`, as optimising purifiers do to save memory: the gradient ignores it."""

from typing import ClassVar

import torch
from torch.nn.functional import avg_pool2d

CAUGHT_BY = {"gradient"}


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        with torch.no_grad():
            step = 0.5 * (avg_pool2d(x, 3, 1, 1) - x)
        return x + step
