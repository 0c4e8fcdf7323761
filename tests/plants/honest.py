"""Nothing wrong with these: a mild blur, and the same after noise."""

from typing import ClassVar

import torch.nn.functional as F


def blurred(x):
    return 0.6 * x + 0.4 * F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


class Blur:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return blurred(x)


class NoisyBlur:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return blurred(x + 0.05 * noise.normal(x)).clamp(0, 1)
