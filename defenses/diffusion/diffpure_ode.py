"""Noises the image and denoises it by the probability-flow equation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor

from bench.gradient import chain
from bench.noise import Noise
from bench.protocols import Images
from defenses.diffusion.diffpure import interval
from defenses.diffusion.diffusion import RoundTrip, continuous, rate, score_of, to_pixels


@dataclass(frozen=True, kw_only=True)
class DiffPureODE(RoundTrip):
    """DiffPure without noise in the reverse steps: the probability-flow ODE by Euler's method.

    `z <- z + h beta / 2 (z + score(z))` in [-1, 1], from `t / 1000` down to 1e-5; only the noising is random.

    References:
        Diffusion Models for Adversarial Purification (Nie, Guo, Huang, Xiao, Vahdat, Anandkumar, 2022)
        https://arxiv.org/abs/2205.07460
        Score-Based Generative Modeling through Stochastic Differential Equations (Song et al., 2021)
        https://arxiv.org/abs/2011.13456

    Arguments:
        score: The denoiser.
        t: Discrete time to which the image is noised, 1 to 1000.
        steps: Reverse steps, at least 1.
        votes: Purifications whose class probabilities are averaged.

    Raises:
        UserError: An argument is out of its range.
    """

    def purify(self, x: Images, noise: Noise) -> Images:
        """The end of the flow from each noised image; one draw of noise per image."""
        z = self.jump(x, noise)
        return to_pixels(chain([partial(self._step, k) for k in range(self.steps)], (z,))[0])

    def _step(self, k: int, z: Tensor) -> tuple[Tensor]:
        time, h = interval(self.t, self.steps, k)
        return (z + h * rate(time) / 2 * (z + score_of(self.score, z, continuous(time))),)
