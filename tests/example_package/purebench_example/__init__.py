"""One component of each kind, registered by the entry points in pyproject.toml."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bench.ball import project
from bench.data.dataset import Dataset
from bench.defended import DefendedClassifier
from bench.noise import Noise
from bench.protocols import Images
from bench.threat import ThreatModel


@dataclass(frozen=True, kw_only=True)
class Blur:
    """The mean of each 3 x 3 neighbourhood."""

    deterministic: ClassVar[bool] = True

    def purify(self, x: Images, noise: Noise) -> Images:
        """The blurred images."""
        return torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def corners(model: DefendedClassifier, x: Images, y: Tensor, threat: ThreatModel, noise: Noise) -> Images:
    """A random corner of the cube, drawn back into the ball: no gradient, no query."""
    return project(noise.uniform(x).round(), x, threat)


def stripes() -> Dataset:
    """Vertical stripes (class 0) and horizontal ones (class 1), 28 x 28 grey."""
    labels = np.arange(100) % 2
    vertical = np.broadcast_to(np.arange(28) // 4 % 2, (28, 28))
    images = np.stack([vertical.T if label else vertical for label in labels])[:, None].astype(np.float32)
    return Dataset(name="example-stripes", ids=np.arange(100), images=images, labels=labels, classes=("0", "1"))


@dataclass(frozen=True, kw_only=True)
class Shrinkage:
    """`E[x | y]` if pixels were independent and Gaussian."""

    mean: float = 0.286
    spread: float = 0.353

    def denoise(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        """Pulls every pixel to the mean."""
        noise = torch.as_tensor(sigma, dtype=y.dtype, device=y.device).reshape(-1, 1, 1, 1) ** 2
        return self.mean + self.spread**2 / (self.spread**2 + noise) * (y - self.mean)
