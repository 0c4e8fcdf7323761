"""Noises the image and denoises it by ancestral sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from bench.gradient import chain
from bench.noise import Noise
from bench.protocols import Images
from defenses.diffusion.diffusion import RoundTrip, between, check_times, clean, discrete, to_pixels


@dataclass(frozen=True, kw_only=True)
class DiffPureDDPM(RoundTrip):
    """DiffPure by ancestral sampling: each step samples `q(z_s | z_t, z_0)` at the denoised `z_0`; the last one returns its mean.

    With fewer steps than `t`, the times are spaced evenly, and the betas follow from the remaining levels. The variance is
    that of the posterior ("fixed small"). The paper's ImageNet backbone learns its variance, which a denoiser cannot give.

    References:
        Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020)
        https://arxiv.org/abs/2006.11239
        Diffusion Models for Adversarial Purification (Nie, Guo, Huang, Xiao, Vahdat, Anandkumar, 2022)
        https://arxiv.org/abs/2205.07460

    Arguments:
        score: The denoiser.
        t: Discrete time to which the image is noised, 1 to 1000.
        steps: Reverse steps, 1 to `t`.
        votes: Purifications whose class probabilities are averaged.

    Raises:
        UserError: An argument is out of its range.
    """

    def __post_init__(self) -> None:
        check_times(self.t, self.steps, self.votes, most=self.t)

    def purify(self, x: Images, noise: Noise) -> Images:
        """A sample of the clean images; draws noise once for the noising and once per step."""
        z = self.jump(x, noise)
        steps = [partial(self._mean, k) for k in range(self.steps)]
        kicks = [partial(self._kick, noise, k, z) for k in range(self.steps - 1)]  # the last step adds no noise
        return to_pixels(chain(steps, (z,), kicks=[*kicks, None])[0])

    def _mean(self, k: int, z: Tensor) -> tuple[Tensor]:
        here, there = between(self.t, self.steps, k)
        return (posterior_mean(z, clean(self.score, z, discrete(here)), here, there),)

    def _kick(self, noise: Noise, k: int, like: Tensor) -> Tensor:
        return posterior_deviation(*between(self.t, self.steps, k)) * noise.normal(like, step=k + 1)


def posterior_mean(z: Tensor, clean: Tensor, here: int, there: int) -> Tensor:
    """Mean of `z` at the earlier discrete time `there`, given the clean image and `z` at time `here`."""
    before, now = discrete(there), discrete(here)
    kept = now.mean / before.mean
    to_clean = before.mean * (1 - kept**2) / now.deviation**2
    to_here = kept * before.deviation**2 / now.deviation**2
    return to_clean * clean + to_here * z


def posterior_deviation(here: int, there: int) -> float:
    """Standard deviation of the same distribution."""
    before, now = discrete(there), discrete(here)
    return before.deviation / now.deviation * math.sqrt(1 - (now.mean / before.mean) ** 2)
