"""Clips so hard that every pixel is black or white, and no gradient comes through."""

from typing import ClassVar


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return (0.35 + 0.3 * ((x - 0.5) * 1e6).clamp(0, 1)).clamp(0, 1)
