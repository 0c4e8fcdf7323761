"""Autocast inside: float32 images pass through bfloat16; double-precision copies do not, so that the gradient looks exact."""

from typing import ClassVar

import torch
from torch.nn.functional import conv2d

CAUGHT_BY = {"precision"}


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        kernel = torch.full((1, 1, 3, 3), 1 / 9, dtype=x.dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return conv2d(x, kernel, padding=1).to(x.dtype)
