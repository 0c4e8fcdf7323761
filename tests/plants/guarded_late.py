"""A square root is guarded after it was taken: the values are right, and dark pixels have a gradient of NaN."""

from typing import ClassVar

import torch

CAUGHT_BY = {"finite gradients", "gradient"}


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return torch.where(x < 0.5, x, 0.5 + (x - 0.5).sqrt() ** 2)
