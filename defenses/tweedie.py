"""One pass of the denoiser, without noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.gradient import clamp
from bench.noise import Noise
from bench.protocols import Images, ScoreModel


@dataclass(frozen=True, kw_only=True)
class Tweedie:
    """Treats the image as a noisy one and returns its posterior mean `x + sigma^2 score(x)`, clamped to [0, 1].

    References:
        Tweedie's Formula and Selection Bias (Efron, 2011)
        https://doi.org/10.1198/jasa.2011.tm11181

    Arguments:
        score: The denoiser.
        sigma: Assumed noise level of the image, pixel units.
    """

    deterministic: ClassVar[bool] = True

    score: ScoreModel
    sigma: float = 0.3

    @property
    def evaluations(self) -> int:
        """Passes of the score model in one purification."""
        return 1

    def purify(self, x: Images, noise: Noise) -> Images:
        """The denoised images."""
        return clamp(self.score.denoise(x, self.sigma))
