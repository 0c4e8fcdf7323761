"""Noise by the place in the batch: the same image in another place is another one."""

from typing import ClassVar

import torch

CAUGHT_BY = {"permuted"}


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        shift = torch.linspace(0, 0.1, len(x), dtype=x.dtype)
        return (x + shift[:, None, None, None]).clamp(0, 1)
