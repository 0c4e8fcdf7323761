"""Purifiers as published code writes them: they draw from torch, NumPy or Python, never from `noise`.

The networks are stand-ins in closed form: smoothing in the place of a trained model.
"""

import random
from typing import ClassVar

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate, pad
from torch.utils.checkpoint import checkpoint

from bench.gradient import clamp, unroll


def smooth(x):
    return avg_pool2d(pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


class Foreign:
    deterministic: ClassVar[bool] = False


class Ddpm(Foreign):
    """A DDPM: a jump forward, ancestral steps back, in [-1, 1]."""

    levels: ClassVar[list[float]] = [0.97, 0.95, 0.92, 0.9]

    def purify(self, x):
        bar = torch.cumprod(torch.tensor(self.levels, dtype=x.dtype, device=x.device), 0)
        y = bar[-1].sqrt() * (2 * x - 1) + (1 - bar[-1]).sqrt() * torch.randn_like(x)
        for k in reversed(range(len(bar))):
            y = self.step(y, bar, k)
        return clamp((y + 1) / 2)

    def step(self, y, bar, k):
        eps = (y - bar[k].sqrt() * torch.tanh(smooth(y))) / (1 - bar[k]).sqrt()
        mean = (y - (1 - self.levels[k]) / (1 - bar[k]).sqrt() * eps) / self.levels[k] ** 0.5
        return mean + (1 - self.levels[k]) ** 0.5 * torch.randn_like(y) if k else mean


class CheckpointedDdpm(Ddpm):
    """The same, with each step computed again in the backward pass."""

    def step(self, y, bar, k):
        step = super().step
        return checkpoint(lambda y: step(y + 0.05 * torch.randn_like(y), bar, k), y, use_reentrant=False)


class UnrolledSteps(Foreign):
    """Noisy steps in the memory of one."""

    def purify(self, x):
        return clamp(unroll(lambda z: smooth(z) + 0.05 * torch.randn_like(z) * z.cos(), x, steps=3))


class AdamFromRandomStart(Foreign):
    """A few steps of Adam from a random point near the image, toward what is smooth; summed over the image."""

    def purify(self, x, noise):
        grad = torch.is_grad_enabled()
        with torch.enable_grad():
            z = x + 0.05 * torch.empty_like(x).uniform_(-1, 1)
            z, m, v = (z if z.requires_grad else z.requires_grad_()), 0, 0
            for k in range(1, 4):
                energy = (z - smooth(z)).square().sum() + 0.1 * (z - x).square().sum()
                (g,) = torch.autograd.grad(energy, z, create_graph=grad)
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
                z = z - 0.02 * (m / (1 - 0.9**k)) / ((v / (1 - 0.999**k) + 1e-4).sqrt())
        return clamp(z)


class MeanOverBatch(AdamFromRandomStart):
    """Its loss is a mean over the batch: coupled, besides drawing."""

    def purify(self, x, noise):
        return clamp(x + 0.05 * torch.randn_like(x) + 0.5 * (smooth(x) - x) / len(x))


class Latent(Foreign):
    """Encodes, adds noise in the latent, decodes."""

    def purify(self, x):
        latent = avg_pool2d(x, 2)
        latent = latent + 0.05 * torch.normal(0.0, 1.0, latent.shape, device=x.device).to(x.dtype)
        return clamp(interpolate(latent, scale_factor=2, mode="bilinear"))


class ByNumpy(Foreign):
    """NumPy and Python choose the noise and its level."""

    def purify(self, x):
        level = random.choice([0.02, 0.05])
        return clamp(x + level * torch.from_numpy(np.random.standard_normal(x.shape)).to(x) * x.sin())


class OwnGenerators(Foreign):
    """Generators made with the defense, which go on from call to call."""

    def __init__(self):
        self.torch, self.numpy = torch.Generator().manual_seed(0), np.random.Generator(np.random.PCG64(0))

    def purify(self, x):
        noise = torch.empty_like(x).normal_(generator=self.torch)
        return clamp(x + 0.05 * noise + 0.05 * float(self.numpy.normal()))


class OwnTorchGenerator(Foreign):
    def __init__(self):
        self.torch = torch.Generator().manual_seed(0)

    def purify(self, x):
        return clamp(x + 0.05 * torch.empty_like(x).normal_(generator=self.torch))


class Multinomial(Foreign):
    """Keeps a pixel row or its neighbour, as a multinomial draw says."""

    def purify(self, x):
        pick = torch.multinomial(torch.ones(len(x), 3), 1).to(x) / 10
        return clamp(x - pick.view(-1, 1, 1, 1) * x.square())


class FromTheSystem(Foreign):
    """NumPy seeds this generator from the operating system: nothing can repeat it."""

    def purify(self, x):
        return clamp(x + 0.05 * float(np.random.default_rng().normal()))


class SeedsInside(Foreign):
    """A seed inside makes the noise a constant, which belongs to the place in the batch."""

    def purify(self, x):
        chance = torch.Generator().manual_seed(0)
        return clamp(x + 0.05 * torch.randn(x.shape, generator=chance).to(x))


class ForgetsItsDraws(Foreign):
    """Computes again what it drew with a generator whose state is not restored: the gradient is another's."""

    def purify(self, x):
        chance = torch.Generator().manual_seed(int(torch.randint(1 << 30, ())))
        for _ in range(2):
            x = checkpoint(lambda z: z * torch.rand(z.shape, generator=chance).to(z), x, use_reentrant=False)
        return x


def sde_purifier():
    """A variance preserving diffusion by torchsde, whose Brownian motion seeds generators of its own."""
    import torchsde

    class Reverse(torch.nn.Module):
        noise_type, sde_type = "diagonal", "ito"

        def f(self, t, y):
            return 0.5 * y + (y.tanh() - y)

        def g(self, t, y):
            return torch.full_like(y, 0.3)

    class Sde(Foreign):
        def purify(self, x):
            y = (2 * x - 1).flatten(1) + 0.2 * torch.randn_like(x).flatten(1)
            times = torch.tensor([0.0, 0.3], dtype=x.dtype, device=x.device)
            y = torchsde.sdeint(Reverse(), y, times, dt=0.1, method="euler")[-1]
            return clamp((y.view_as(x) + 1) / 2)

    return Sde
