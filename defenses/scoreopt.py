"""Score-based optimisation of the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bench.errors import UserError
from bench.noise import Noise
from bench.protocols import Images, ScoreModel
from defenses.adam import adam
from defenses.diffusion.diffusion import to_pixels, to_signed
from defenses.lm import reconstruction_error

OBJECTIVES = ("image", "noise")


@dataclass(frozen=True, kw_only=True)
class ScoreOpt:
    """ScoreOpt: runs Adam on the image until the denoiser reconstructs it (`image`, the paper's -O) or finds its noise (`noise`, -N).

    Images and noise levels are in [-1, 1]. `image` descends the mean square of `D(z + sigma_k n_k) - z`; each step has its own
    noise and a level uniform in `sigma +- spread`. `noise` starts at `z + sigma n`, descends the mean square of
    `(z - D(z)) / sigma - n` with fixed `n` and `sigma`, and denoises the result. The published code draws one level per batch;
    here each image draws its own.

    References:
        Enhancing Adversarial Robustness via Score-Based Optimization (Zhang, Luo, Zhang, 2023)
        https://arxiv.org/abs/2307.04333

    Arguments:
        score: The denoiser; for `image` it receives one noise level per image.
        objective: `image` or `noise`.
        steps: Steps of Adam, at least 0.
        step_size: Step size of Adam, for images in [-1, 1].
        sigma: Noise level, in [-1, 1], above 0.
        spread: How far the level varies for `image`, at least 0 and below `sigma`; `noise` does not use it.
        votes: Purifications whose class probabilities are averaged.

    Raises:
        UserError: An argument is out of its range.
    """

    deterministic: ClassVar[bool] = False

    score: ScoreModel
    objective: str = "image"
    steps: int = 20
    step_size: float = 0.01
    sigma: float = 0.25
    spread: float = 0.1
    votes: int = 1

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise UserError("scoreopt-objective", objectives=" or ".join(OBJECTIVES), objective=self.objective)
        lowest = self.sigma - self.spread if self.objective == "image" else self.sigma
        if min(self.steps, self.step_size, self.spread) < 0 or lowest <= 0 or self.votes < 1:
            raise UserError(
                "scoreopt-arguments",
                steps=self.steps,
                step_size=self.step_size,
                sigma=self.sigma,
                spread=self.spread,
                votes=self.votes,
            )

    @property
    def units(self) -> str:
        """The noise in pixel units."""
        spread = f" +- {self.spread / 2:.4g}" if self.objective == "image" else ""
        return f"noise of sigma {self.sigma / 2:.4g}{spread} and steps of {self.step_size / 2:.4g} in pixel units"

    @property
    def evaluations(self) -> int:
        """Passes of the score model in one purification."""
        return self.steps + (self.objective != "image")

    def purify(self, x: Images, noise: Noise) -> Images:
        """The optimised images; `image` draws noise at each step, `noise` once."""
        z = to_signed(x)
        if self.objective == "image":
            return to_pixels(adam(self._image_loss(noise), z, steps=self.steps, step_size=self.step_size))
        n = noise.normal(x)

        def loss(_: int, z: Tensor) -> Tensor:
            return ((z - self._denoise(z)) / self.sigma - n).square().flatten(1).mean(dim=1)

        return to_pixels(self._denoise(adam(loss, z + self.sigma * n, steps=self.steps, step_size=self.step_size)))

    def _image_loss(self, noise: Noise) -> Callable[[int, Tensor], Tensor]:
        def loss(k: int, z: Tensor) -> Tensor:
            turn = 2 * noise.uniform(z[:, :1, :1, :1], step=2 * k) - 1
            return reconstruction_error(self.score, z, self.sigma + self.spread * turn, noise.normal(z, step=2 * k + 1))

        return loss

    def _denoise(self, z: Tensor) -> Tensor:
        return to_signed(self.score.denoise((z + 1) / 2, self.sigma / 2))
