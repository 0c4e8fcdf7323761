"""The global generator is seeded inside: the same logits always, and an attack's random starts are constant."""

from typing import ClassVar

import torch

CAUGHT_BY = {"global state"}


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        torch.manual_seed(0)  # noqa: TID251 - the plant
        return (x + 0.05 * torch.rand(x[:1].shape, dtype=x.dtype)).clamp(0, 1)
