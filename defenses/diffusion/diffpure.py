"""Noises the image and denoises it by the reverse stochastic differential equation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from bench.gradient import chain
from bench.noise import Noise
from bench.protocols import Images
from defenses.diffusion.diffusion import RoundTrip, continuous, rate, score_of, to_pixels

END = 1e-5
"""Continuous time at which the reverse equation stops."""


@dataclass(frozen=True, kw_only=True)
class DiffPure(RoundTrip):
    """DiffPure: noise up to time `t`, then the reverse variance-preserving SDE by the Euler-Maruyama method.

    `z <- z + h (beta z / 2 + beta score(z)) + sqrt(beta h) n` in [-1, 1], from `t / 1000` down to 1e-5. As in the published code,
    the noising uses the discrete product of the betas and the reverse steps the continuous one. The paper uses `t=100` for
    CIFAR-10 under linf, `t=75` under l2 and `t=150` on ImageNet, each with `steps` equal to `t`. Gradients are exact, through
    every step.

    References:
        Diffusion Models for Adversarial Purification (Nie, Guo, Huang, Xiao, Vahdat, Anandkumar, 2022)
        https://arxiv.org/abs/2205.07460

    Arguments:
        score: The denoiser.
        t: Discrete time to which the image is noised, 1 to 1000.
        steps: Reverse steps, at least 1; with `steps` equal to `t` each has the paper's length, 1/1000.
        votes: Purifications whose class probabilities are averaged.

    Raises:
        UserError: An argument is out of its range.
    """

    def purify(self, x: Images, noise: Noise) -> Images:
        """A sample of the clean images; draws noise once for the noising and once per step."""
        z = self.jump(x, noise)
        steps = [partial(self._drift, k) for k in range(self.steps)]
        kicks = [partial(self._kick, noise, k, z) for k in range(self.steps)]
        return to_pixels(chain(steps, (z,), kicks=kicks)[0])

    def _drift(self, k: int, z: Tensor) -> tuple[Tensor]:
        time, h = interval(self.t, self.steps, k)
        return (z + h * (rate(time) * (z / 2 + score_of(self.score, z, continuous(time)))),)

    def _kick(self, noise: Noise, k: int, like: Tensor) -> Tensor:
        time, h = interval(self.t, self.steps, k)
        return math.sqrt(rate(time) * h) * noise.normal(like, step=k + 1)


def interval(t: int, steps: int, k: int) -> tuple[float, float]:
    """Start, in continuous time, and length of reverse step `k` from `t`; the last step ends at 1e-5."""
    start, stop = ((steps - j) * t / steps / 1000 for j in (k, k + 1))
    return start, start - max(stop, END)
