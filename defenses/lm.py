"""Likelihood maximisation: descends the reconstruction error under fresh noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bench.errors import UserError
from bench.noise import Noise
from bench.protocols import Images, ScoreModel
from defenses.adam import adam
from defenses.diffusion.diffusion import to_pixels, to_signed


@dataclass(frozen=True, kw_only=True)
class LikelihoodMaximization:
    """Raises a bound of the likelihood by Adam: each step descends the mean square of `D(z + sigma n) - z` at one draw of noise.

    Images and noise levels are in [-1, 1]. At each step, each image draws its own noise level, uniform between `low` and
    `high`; the published code draws one for the whole batch. Gradients are exact, through Adam's moments too.

    References:
        Robust Classification via a Single Diffusion Model (Chen, Dong, Wang, Yang, Duan, Su, Zhu, 2024)
        https://arxiv.org/abs/2305.15241

    Arguments:
        score: The denoiser; it receives one noise level per image.
        steps: Steps of Adam, at least 0.
        step_size: Step size of Adam, for images in [-1, 1].
        low: Smallest noise level, in [-1, 1], greater than 0.
        high: Largest noise level.
        votes: Purifications whose class probabilities are averaged.

    Raises:
        UserError: An argument is out of its range.
    """

    deterministic: ClassVar[bool] = False

    score: ScoreModel
    steps: int = 5
    step_size: float = 0.1
    low: float = 0.4
    high: float = 0.6
    votes: int = 1

    def __post_init__(self) -> None:
        if min(self.steps, self.step_size) < 0 or not 0 < self.low <= self.high or self.votes < 1:
            raise UserError(
                "lm-arguments",
                steps=self.steps,
                step_size=self.step_size,
                low=self.low,
                high=self.high,
                votes=self.votes,
            )

    @property
    def units(self) -> str:
        """The noise in pixel units."""
        return f"noise of sigma {self.low / 2:.4g} to {self.high / 2:.4g} and steps of {self.step_size / 2:.4g} in pixel units"

    @property
    def evaluations(self) -> int:
        """Passes of the score model in one purification."""
        return self.steps

    def purify(self, x: Images, noise: Noise) -> Images:
        """Images of a higher likelihood; each step draws noise and a noise level."""

        def loss(k: int, z: Tensor) -> Tensor:
            draw = noise.uniform(z[:, :1, :1, :1], step=2 * k)
            return reconstruction_error(
                self.score, z, self.low + (self.high - self.low) * draw, noise.normal(z, step=2 * k + 1)
            )

        return to_pixels(adam(loss, to_signed(x), steps=self.steps, step_size=self.step_size))


def reconstruction_error(score: ScoreModel, z: Tensor, sigma: Tensor, n: Tensor) -> Tensor:
    """Mean square over pixels of `D(z + sigma n) - z` in [-1, 1], one value per image.

    Arguments:
        score: The denoiser.
        z: Images in [-1, 1].
        sigma: Noise levels in [-1, 1], shape `(B, 1, 1, 1)`.
        n: Standard normal noise, the shape of `z`.
    """
    noisy = (z + sigma * n + 1) / 2
    return (to_signed(score.denoise(noisy, sigma.flatten() / 2)) - z).square().flatten(1).mean(dim=1)
