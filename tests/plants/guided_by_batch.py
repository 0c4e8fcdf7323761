"""Pulls every image away from the mean of its batch."""

from typing import ClassVar


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return (x + 0.2 * (x - x.mean(dim=0, keepdim=True))).clamp(0, 1)
