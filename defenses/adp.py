"""Adaptive denoising purification: noise, then score ascent with step sizes found per image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.errors import UserError
from bench.gradient import chain, clamp
from bench.noise import Noise
from bench.protocols import Images, ScoreModel

PROBE = 1e-3
"""Length of the step that measures the curvature along the score."""
SHORTEST, LONGEST, STOP = 1e-5, 0.1, 1e-3
"""Range of the step size; an image whose step would be `STOP` or less is finished."""


@dataclass(frozen=True, kw_only=True)
class ADP:
    """Adds Gaussian noise and ascends the score `s`; each step goes a share `rate` of the way to the mode of a fitted Gaussian.

    The Gaussian is fitted to `s(x)` and `s(x + probe s)`: `step = rate probe / (1 - s(x + probe s) s(x) / ||s(x)||^2)`, clamped
    to [1e-5, .1]. An image stops once its step is .001 or less. Pixels are clamped after each step. Everything is in pixel
    units, as in the paper; the ten ensemble members of the paper are votes here. The paper's score model was trained at
    several noise levels and evaluated at one; here that is `level`. Gradients are exact, through the step sizes too.

    References:
        Adversarial Purification with Score-based Generative Models (Yoon, Hwang, Lee, 2021)
        https://arxiv.org/abs/2106.06041

    Arguments:
        score: The denoiser.
        sigma: Standard deviation of the added noise, pixel units.
        level: Noise level at which the score is evaluated, pixel units, greater than 0.
        steps: The most steps, at least 0; each evaluates two scores.
        rate: Share of the way to the mode that one step goes, greater than 0.
        votes: Ensemble members, whose class probabilities are averaged.

    Raises:
        UserError: An argument is out of its range.
    """

    deterministic: ClassVar[bool] = False

    score: ScoreModel
    sigma: float = 0.25
    level: float = 0.25
    steps: int = 10
    rate: float = 0.05
    votes: int = 10

    def __post_init__(self) -> None:
        if min(self.sigma, self.steps) < 0 or min(self.level, self.rate) <= 0 or self.votes < 1:
            raise UserError(
                "adp-arguments", sigma=self.sigma, steps=self.steps, level=self.level, rate=self.rate, votes=self.votes
            )

    @property
    def units(self) -> str:
        """The noise in pixel units."""
        return f"noise of sigma {self.sigma:g}, score at sigma {self.level:g}, both in pixel units"

    @property
    def evaluations(self) -> int:
        """Passes of the score model in one purification."""
        return 2 * self.steps

    def purify(self, x: Images, noise: Noise) -> Images:
        """The images after the ascent; one draw of noise per image."""
        noisy = clamp(x + self.sigma * noise.normal(x))
        return chain([self._step] * self.steps, (noisy, torch.ones_like(x[:, :1, :1, :1])))[0]

    def _step(self, x: Images, moving: Tensor) -> tuple[Tensor, Tensor]:
        slope = self._slope(x)
        size = self._step_size(slope, self._slope(x + PROBE * slope))
        moving = moving * (size > STOP)
        return clamp(x + moving * size * slope), moving

    def _slope(self, x: Images) -> Tensor:
        return (self.score.denoise(x, self.level) - x) / self.level**2

    def _step_size(self, slope: Tensor, probed: Tensor) -> Tensor:
        """One step size per image, shape `(B, 1, 1, 1)`."""
        squared = slope.square().sum(dim=(1, 2, 3), keepdim=True)
        straight = squared > 0
        along = (slope * probed).sum(dim=(1, 2, 3), keepdim=True) / torch.where(straight, squared, 1)
        bend = torch.where(straight & (along != 1), 1 - along, 1)
        return (self.rate * PROBE / bend).clamp(SHORTEST, LONGEST)
