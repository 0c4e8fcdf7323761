"""Half of the purifier is detached: its gradient is that of the other half."""

from typing import ClassVar

from torch.nn.functional import avg_pool2d

CAUGHT_BY = {"gradient"}


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return 0.5 * x + 0.5 * avg_pool2d(x.detach(), 3, 1, 1)
