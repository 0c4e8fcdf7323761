"""Noise, then one pass of the denoiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.errors import UserError
from bench.gradient import clamp
from bench.noise import Noise
from bench.protocols import Images, ScoreModel


@dataclass(frozen=True, kw_only=True)
class DenoiseOnce:
    """Hides the perturbation under Gaussian noise and denoises once: `D(x + sigma n)`, clamped to [0, 1].

    References:
        (Certified!!) Adversarial Robustness for Free! (Carlini, Tramer, Dvijotham, Rice, Sun, Kolter, 2023)
        https://arxiv.org/abs/2206.10550

    Arguments:
        score: The denoiser.
        sigma: Noise level, pixel units.
        votes: Purifications whose class probabilities are averaged.

    Raises:
        UserError: `votes` is below 1.
    """

    deterministic: ClassVar[bool] = False

    score: ScoreModel
    sigma: float = 0.3
    votes: int = 1

    def __post_init__(self) -> None:
        if self.votes < 1:
            raise UserError("denoise-once-votes", votes=self.votes)

    @property
    def evaluations(self) -> int:
        """Passes of the score model in one purification."""
        return 1

    def purify(self, x: Images, noise: Noise) -> Images:
        """The denoised images; one draw of noise per image."""
        return clamp(self.score.denoise(x + self.sigma * noise.normal(x), self.sigma))
