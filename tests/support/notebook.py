"""What a notebook holds: a classifier, images and labels, and purifiers in several forms."""

import copy
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch.nn.functional import avg_pool2d

from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry


@cache
def _parts():
    """Loaded once: the embedded classifier and data."""
    return plan(Request(defense="none"), make_registry())


def classifier():
    """The embedded classifier, as a network of the user's own with parameters that take gradients."""
    return copy.deepcopy(_parts().classifier).requires_grad_(True)


def images_and_labels(n):
    """The first images of Fashion-MNIST in its balanced order."""
    data = _parts().dataset
    return torch.from_numpy(data.floats(slice(0, n))), torch.from_numpy(data.labels[:n])


@dataclass(frozen=True, kw_only=True)
class Blur:
    """Means of 3 x 3 pixels, several times."""

    steps: int = 1

    def purify(self, x):
        for _ in range(self.steps):
            x = avg_pool2d(x, 3, 1, 1)
        return x


@dataclass(frozen=True, kw_only=True)
class Claimed(Blur):
    """The same with a claim and a noise that it does not draw from."""

    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return super().purify(x)


class Jitter:
    """Adds noise that it draws from its second argument."""

    def __init__(self, sigma=0.1):
        self.sigma = sigma

    def purify(self, x, noise):
        return (x + self.sigma * noise.normal(x)).clamp(0, 1)
