"""Random purifiers with a trap in their derivative, each beside a twin that has the same values and the right derivative.

A purifier is one to three stages, each a small operation on the image; one of them at least has a trap.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bench.data.dataset import Dataset
from bench.noise import Noise

SIDE, CLASSES, COUNT = 10, 4, 40


# --- a small world: bright strokes on black, and a linear classifier in closed form


def _numbers(key, *shape):
    return np.random.Generator(np.random.Philox(key=key)).normal(size=shape).astype(np.float32)


def _pictures():
    """Strokes on black with a flat grey patch, whose place is the class."""
    labels = np.arange(4 * COUNT) % CLASSES
    grey = np.zeros((len(labels), 1, SIDE, SIDE), np.float32)
    inner = np.clip(0.5 * _numbers(1, len(labels), 6, 6), 0, 0.95)
    grey[:, 0, 2:8, 2:8] = inner
    for image, label in zip(grey, labels, strict=True):
        top, left = 2 + 3 * (label // 2), 2 + 3 * (label % 2)
        image[0, top : top + 3, left : left + 3] = 0.4
    return grey, labels


class Linear(nn.Module):
    """Ridge regression on the images that are not attacked, times ten: the least squares that know the answer."""

    def __init__(self):
        super().__init__()
        grey, labels = _pictures()
        flat = torch.from_numpy(grey[COUNT:]).flatten(1).double() - 0.3
        wanted = F.one_hot(torch.from_numpy(labels[COUNT:]), CLASSES).double() - 1 / CLASSES
        solved = torch.linalg.solve(flat.T @ flat + 10 * torch.eye(flat.shape[1]).double(), flat.T @ wanted)
        self.weight = nn.Parameter((10 * solved).float().T.contiguous(), requires_grad=False)

    def forward(self, x):
        return F.linear(x.flatten(1) - 0.3, self.weight)


def images():
    """The images that are attacked."""
    grey, labels = (part[:COUNT] for part in _pictures())
    return Dataset(name="strokes", ids=np.arange(COUNT), images=grey, labels=labels, classes=tuple("abcd"))


# --- stages: an image in [0, 1] to another


def shrink(x, rate):
    """Every pixel towards black."""
    return (1 - rate) * x


def blur(x, rate):
    """Towards the mean of each pixel's neighbours."""
    return (1 - rate) * x + rate * F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


def flatten(x, rate):
    """A step down the total variation, rounded off where it has its kink."""
    u, v = x - x.roll(1, 3), x - x.roll(1, 2)
    u, v = (d / (d * d + 1e-2).sqrt() for d in (u, v))
    return x - rate / 4 * (u - u.roll(-1, 3) + v - v.roll(-1, 2))


def contrast(x, rate):
    """Away from the image's own mean."""
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (1 + rate) * (x - mean)


def squash(x, rate):
    """The ends of the scale drawn in."""
    return torch.tanh((1 + rate) * x)


def inside(x):
    """Clamped to [0, 1], with the derivative 1 on the border too, from where the only way is in."""
    return torch.where(x < 0, 0, torch.where(x > 1, 1, x))


STAGES = (shrink, blur, flatten, contrast, squash)


# --- where a trap looks: something that is exactly 0 on black or on flat parts, and at least 0


def black(x):
    """The pixels: 0 on a black background."""
    return x


def slope(x):
    """Squared differences from the pixel on the left."""
    return (x - x.roll(1, 3)).square()


LOOKS = (black, slope)


# --- traps: `trap(stage, x, q)` has the values of `stage(x)`, but for rounding, and another derivative


def where_after_division(stage, x, q):
    """0 / 0, guarded too late: NaN times 0 is NaN."""
    return stage(x) * torch.where(q > 0, q / q, 1)


def root(stage, x, q):
    """The root of a square: 0 times infinity."""
    return stage(x) + 1e-7 * (q * q).sqrt()


def norm(stage, x, q):
    """The norm of a vector of zeros by hand."""
    return stage(x) + 1e-7 * torch.stack([q, 2 * q]).square().sum(dim=0).sqrt()


def logarithm(stage, x, q):
    """0 log 0, guarded too late."""
    return stage(x) + 1e-7 * torch.where(q > 0, q * q.log(), 0)


def infinite(stage, x, q):
    """A slope without bound at 0, of a height that nobody sees."""
    return stage(x) + 1e-9 * q.sqrt()


def huge(stage, x, q):
    """A slope of 1e25, whose square is no float32."""
    return stage(x) + 1e-10 * torch.log1p(1e35 * q)


def rounding(stage, x, q):
    """Eight bits."""
    return (255 * stage(x)).round() / 255


def no_grad(stage, x, q):
    """The step unseen by autograd."""
    with torch.no_grad():
        step = stage(x) - x
    return x + step


def detached(stage, x, q):
    """Half of the result detached."""
    y = stage(x)
    return 0.5 * y + 0.5 * y.detach()


def data(stage, x, q):
    """The step computed on `x.data`."""
    return x + (stage(x.data) - x.data)


def bfloat(stage, x, q):
    """Through bfloat16."""
    return stage(x.bfloat16().to(x.dtype))


def half(stage, x, q):
    """Through float16, scaled as if to save it: what comes back is below its smallest number."""
    return stage((x * 1e-4).half().to(x.dtype) * 1e4)


def kinked_norm(stage, x, q):
    """The norm of one number: autograd takes 0 for the derivative at 0, where it is 1 to the only side there is."""
    return stage(torch.linalg.vector_norm(x[None], dim=0))


def kinked_clamp(stage, x, q):
    """Likewise, as torch releases from 2.14 on do."""
    return stage(x).clamp(0, 1)


def clean(stage, x, q):
    """No trap."""
    return stage(x)


TRAPS = (
    where_after_division, root, norm, logarithm, infinite, huge, rounding, no_grad, detached, data, bfloat, half,
)  # fmt: skip
KINKS = (kinked_norm, kinked_clamp)
"""Traps that no finite difference sees off the kink, nor a look for what is not finite: they keep black pixels from moving."""


@dataclass(frozen=True)
class Stage:
    """One stage, trapped or not."""

    stage: object
    rate: float
    look: object
    trap: object

    def __call__(self, x, *, trapped):
        trap = self.trap if trapped else clean
        return trap(lambda z: inside(self.stage(z, self.rate)), x, self.look(x))

    def __str__(self):
        look = "" if self.trap is clean else f" at {self.look.__name__}"
        return f"{self.stage.__name__}({self.rate:g}) {self.trap.__name__}{look}"


@dataclass(frozen=True)
class Purifier:
    """Some stages one after the other, with their traps or without."""

    deterministic: ClassVar[bool] = True

    stages: tuple[Stage, ...]
    trapped: bool = True

    def purify(self, x, noise):
        for stage in self.stages:
            x = stage(x, trapped=self.trapped)
        return x

    def __str__(self):
        return ", ".join(map(str, self.stages))


def purifier(number, traps=TRAPS):
    """The purifier of this number, the same everywhere, and its twin without traps."""
    words = Noise(0, torch.tensor([number]), "check").words(32)[:, 0].T.flatten().tolist()

    def choose(options):
        return options[words.pop() % len(options)]

    count = choose((1, 2, 3))
    trapped = choose(range(count))
    seldom = (*traps, *[clean] * len(traps))
    stages = tuple(
        Stage(choose(STAGES), choose((0.05, 0.1, 0.2)), choose(LOOKS), choose(traps if k == trapped else seldom))
        for k in range(count)
    )
    return Purifier(stages), Purifier(stages, trapped=False)
