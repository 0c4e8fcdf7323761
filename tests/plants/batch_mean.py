"""Guidance toward the mean of the batch: an image's fate depends on its neighbours."""

from typing import ClassVar

CAUGHT_BY = {"alone"}


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return 0.9 * x + 0.1 * x.mean(dim=0, keepdim=True)
