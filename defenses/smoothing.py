"""Randomized smoothing: Gaussian noise and votes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar

from bench.errors import UserError
from bench.gradient import clamp
from bench.noise import Noise
from bench.protocols import Images
from bench.stats.intervals import lower_bound


@dataclass(frozen=True, kw_only=True)
class Smoothing:
    """Classifies the image under Gaussian noise several times and averages the votes; certified in l2.

    The certificate holds for the smoothed classifier, which predicts the likeliest class under the noise. If that class occurs
    `hits` times in `certify` draws, its probability is at least `p` (Clopper and Pearson, one-sided, error `alpha`). Then, with
    confidence `1 - alpha`, no perturbation of l2 length below `sigma Phi^-1(p)` changes it. Pixels are clamped after the noise;
    the clamp counts as part of the classifier.

    References:
        Certified Adversarial Robustness via Randomized Smoothing (Cohen, Rosenfeld, Kolter, 2019)
        https://arxiv.org/abs/1902.02918

    Arguments:
        sigma: Noise level, pixel units, greater than 0.
        votes: Noisy copies whose class probabilities are averaged.
        certify: Draws for the certificate, after another 100 that choose the class; 0 makes no certificate.
        alpha: Probability that an image's certificate is wrong, in (0, 1).

    Raises:
        UserError: An argument is out of its range.
    """

    deterministic: ClassVar[bool] = False

    sigma: float = 0.12
    votes: int = 10
    certify: int = 1000
    alpha: float = 0.001

    def __post_init__(self) -> None:
        if self.sigma <= 0 or self.votes < 1 or self.certify < 0 or not 0 < self.alpha < 1:
            raise UserError(
                "smoothing-arguments", sigma=self.sigma, votes=self.votes, certify=self.certify, alpha=self.alpha
            )

    @property
    def units(self) -> str:
        """The noise in pixel units, and what the certificate costs."""
        certificate = (
            f"; certified by {self.certify} draws, wrong with a chance of {self.alpha:g}" if self.certify else ""
        )
        return f"noise of sigma {self.sigma:g} in pixel units{certificate}"

    def purify(self, x: Images, noise: Noise) -> Images:
        """The noisy images; one draw of noise per image."""
        return clamp(x + self.sigma * noise.normal(x))

    def certified_radius(self, hits: int) -> float:
        """The certified l2 radius, pixel units, after `hits` in `certify` draws; 0 if there is none."""
        chance = lower_bound(hits, self.certify, self.alpha)
        return self.sigma * NormalDist().inv_cdf(chance) if chance > 0.5 else 0.0
