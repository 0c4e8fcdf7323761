"""A private generator inside a checkpoint: the recomputation draws other numbers, so that the gradient is another's.

Its random operations are seen as well; that the gradient is wrong, only the finite difference tells.
"""

from typing import ClassVar

import torch
from torch.utils.checkpoint import checkpoint

CAUGHT_BY = {"gradient", "random operations"}


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        generator = torch.Generator().manual_seed(1)

        def step(x):
            return x * (0.8 + 0.2 * torch.rand(x[:1].shape, generator=generator, dtype=x.dtype))

        for _ in range(2):
            x = checkpoint(step, x, use_reentrant=False)
        return x
