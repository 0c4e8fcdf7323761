"""Guided diffusion: ancestral sampling that is pulled toward the input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from bench.errors import UserError
from bench.gradient import Kick, chain, clamp
from bench.noise import Noise
from bench.protocols import Images, ScoreModel
from defenses.diffusion.diffpure_ddpm import posterior_deviation, posterior_mean
from defenses.diffusion.diffusion import STEPS, between, clean, discrete, noised, to_pixels, to_signed, units


@dataclass(frozen=True, kw_only=True)
class GDMP:
    """Guided diffusion for purification: rounds of noising and ancestral sampling, each step pulled toward a newly noised input.

    In [-1, 1], at discrete time t with variance v of the step: `mean <- mean - v s grad MSE(z, noised input)` with
    `s = scale / (2/3 ptb/255) sqrt(1 - abar) / sqrt(abar)`. The published code averages the MSE over the batch, so that its
    strength depends on the batch size; here the MSE is that of one image. As in the published code, the denoised image is
    clamped to [-1, 1], a round noises to level `t + 1` and samples back from `t`, and the variance is beta ("fixed large"). With
    fewer steps than `t`, the times are spaced evenly.

    References:
        Guided Diffusion Model for Adversarial Purification (Wang, Lyu, Lin, Dai, Fu, 2022)
        https://arxiv.org/abs/2205.14969

    Arguments:
        score: The denoiser.
        rounds: Rounds of noising and denoising, at least 1.
        t: Discrete time to which each round noises, 1 to 999.
        steps: Ancestral steps of a round, 1 to `t`.
        scale: Strength of the guidance; 0 switches it off.
        ptb: Size of the perturbation that the guidance is tuned to, in 1/255, greater than 0.
        votes: Purifications whose class probabilities are averaged.

    Raises:
        UserError: An argument is out of its range.
    """

    deterministic: ClassVar[bool] = False

    score: ScoreModel
    rounds: int = 4
    t: int = 36
    steps: int = 36
    scale: float = 60000.0
    ptb: float = 8.0
    votes: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= self.t < STEPS or min(self.rounds, self.votes) < 1 or self.scale < 0 or self.ptb <= 0:
            raise UserError(
                "gdmp-arguments",
                longest=STEPS,
                steps=self.steps,
                t=self.t,
                rounds=self.rounds,
                votes=self.votes,
                scale=self.scale,
                ptb=self.ptb,
            )

    @property
    def units(self) -> str:
        """The noise in pixel units."""
        return units(self.t, self.score)

    @property
    def evaluations(self) -> int:
        """Passes of the score model in one purification."""
        return self.rounds * self.steps

    def purify(self, x: Images, noise: Noise) -> Images:
        """A guided sample of the clean images; draws noise once per round and twice per step."""
        z, steps = to_signed(x), []
        kicks: list[Kick | None] = []
        for r in range(self.rounds):
            first = r * (2 * self.steps + 1)
            steps.append(partial(self._noise, noise, first))
            steps += [partial(self._step, noise, first + 2 * k + 1, k) for k in range(self.steps)]
            walks = [partial(self._kick, noise, first + 2 * k + 2, k, z) for k in range(self.steps - 1)]
            kicks += [None, *walks, None]  # the last step of a round adds no noise
        return to_pixels(chain(steps, (z,), z, kicks=kicks)[0])

    def _noise(self, noise: Noise, draw: int, z: Tensor, start: Tensor) -> tuple[Tensor]:
        return (noised(z, discrete(self.t + 1), noise.normal(z, step=draw)),)

    def _step(self, noise: Noise, draw: int, k: int, z: Tensor, start: Tensor) -> tuple[Tensor]:
        here, there = between(self.t, self.steps, k)
        level = discrete(here)
        mean = posterior_mean(z, clamp(clean(self.score, z, level), -1, 1), here, there)
        pull = z - noised(start, level, noise.normal(z, step=draw))
        return (mean - self._variance(k) * self._strength(here) * 2 / z[0].numel() * pull,)

    def _kick(self, noise: Noise, draw: int, k: int, like: Tensor) -> Tensor:
        return self._variance(k) ** 0.5 * noise.normal(like, step=draw)

    def _variance(self, k: int) -> float:
        here, there = between(self.t, self.steps, k)
        level, before = discrete(here), discrete(there)
        return 1 - (level.mean / before.mean) ** 2 if there else posterior_deviation(here + 1, here) ** 2

    def _strength(self, here: int) -> float:
        level = discrete(here)
        return self.scale / (2 / 255 * self.ptb / 3) * level.deviation / level.mean
