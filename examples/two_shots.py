"""An example defense: stochastic, with a score model; full gradients through it are exact without more code."""

from dataclasses import dataclass
from typing import ClassVar

from bench.gradient import clamp
from bench.noise import Noise
from bench.protocols import Images, ScoreModel


@dataclass(frozen=True, kw_only=True)
class TwoShots:
    """Adds noise and denoises, then repeats both at half the noise level."""

    deterministic: ClassVar[bool] = False

    score: ScoreModel  # filled from --score-model
    sigma: float = 0.3  # -D sigma=, pixel units

    def purify(self, x: Images, noise: Noise) -> Images:
        """The twice denoised images."""
        for step, sigma in enumerate((self.sigma, self.sigma / 2)):
            x = clamp(self.score.denoise(x + sigma * noise.normal(x, step=step), sigma))
        return x


if __name__ == "__main__":
    from bench.models.embedded import fashion_mnist_score_model
    from bench.testing import check_defense, report

    raise SystemExit(report(check_defense, TwoShots(score=fashion_mnist_score_model())))
