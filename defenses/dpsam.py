"""A deterministic purifier guided by sharpness-aware minimization."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from bench.errors import UserError
from bench.gradient import clamp, unroll
from bench.noise import Noise
from bench.protocols import Images, ScoreModel

BANK_SEED = 260206269
"""Seed of the bank of noise vectors. It is part of the defense, and every attacker knows it."""


@dataclass(frozen=True, kw_only=True)
class DPSAM:
    """Descends the expected reconstruction error of a denoiser to a flat minimum near the input, without random numbers.

    With a fixed bank of M noise vectors, `ERE(x) = 1/M sum_m ||D(x + sigma n_m) - x||^2` (summed over pixels). One step is
    `g = grad ERE(x)`, `x~ = x + rho g / ||g||`, `x' = proj(x - step_size grad ERE(x~))`. Here `proj` projects onto the ball of
    `radius` around the *input*, then onto [0, 1]. The gradient through all steps is exact and takes the memory of one step.

    The published abstract gives none of these numbers. Every default here is this project's, chosen on held-out training
    images.

    References:
        PurSAMERE (Hoang, Krumscheid, Rauhut, Tempone, 2026)
        https://arxiv.org/abs/2602.06269
        Sharpness-Aware Minimization for Efficiently Improving Generalization (Foret, Kleiner, Mobahi, Neyshabur, 2021)
        https://arxiv.org/abs/2010.01412

    Arguments:
        score: The denoiser.
        sigma: Noise level of the reconstruction error, pixel units, greater than 0.
        bank: Number M of noise vectors, even, since they come in antithetic pairs; 0 reconstructs the image without noise.
            The gradient of a bank differs from that of the expectation by a relative error of order `1 / sqrt(M)`.
        steps: Number K of descent steps, at least 0.
        step_size: Step size eta, 0 or more; for a denoiser with zero Jacobian, a step of 1/2 without SAM is one pass of it.
        rho: Radius of the ascent step (l2, pixel units), 0 or more; 0 switches SAM off.
        radius: Largest distance of the result from the input, pixel units, 0 or more.
        norm: Norm of that distance: `linf` or `l2`.

    Raises:
        UserError: An argument is out of its range.
    """

    deterministic: ClassVar[bool] = True
    provenance: ClassVar[str] = "its defaults are purebench's, chosen on held-out training images, not the paper's"

    score: ScoreModel
    sigma: float = 0.3
    bank: int = 2
    steps: int = 4
    step_size: float = 0.5
    rho: float = 0.1
    radius: float = 0.3
    norm: str = "linf"

    def __post_init__(self) -> None:
        if self.bank < 0 or self.bank % 2:
            raise UserError("dpsam-bank", bank=self.bank)
        if self.sigma <= 0 or min(self.steps, self.step_size, self.rho, self.radius) < 0:
            raise UserError(
                "dpsam-arguments",
                sigma=self.sigma,
                steps=self.steps,
                step_size=self.step_size,
                rho=self.rho,
                radius=self.radius,
            )
        if self.norm not in ("linf", "l2"):
            raise UserError("dpsam-norm", norm=self.norm)

    @property
    def evaluations(self) -> int:
        """Passes of the score model in one purification."""
        return self.steps * (2 if self.rho else 1) * max(1, self.bank)

    def purify(self, x: Images, noise: Noise) -> Images:
        """The flat minimum near each image, in the shape and range of `x`."""
        bank = self.noise_bank(x)
        step, pullback = partial(self._step, bank), partial(self._pullback, bank)
        return unroll(step, x, x, steps=self.steps, pullback=pullback)

    def noise_bank(self, x: Images) -> Tensor:
        """The noise vectors, shape `(M, C, H, W)` (one row of zeros for M = 0), in the dtype and on the device of `x`."""
        if not self.bank:
            return torch.zeros_like(x[:1])
        half = Noise(BANK_SEED, torch.arange(self.bank // 2, device=x.device), "bank").normal(
            x.new_empty(self.bank // 2, *x.shape[1:])
        )
        return torch.cat([half, -half])

    def error(self, bank: Tensor, x: Images) -> Tensor:
        """`ERE` of each image, shape `(B,)`."""
        noisy = (x[:, None] + self.sigma * bank).flatten(0, 1)
        clean = self.score.denoise(noisy, self.sigma).unflatten(0, (len(x), len(bank)))
        return (clean - x[:, None]).square().sum(dim=(2, 3, 4)).mean(dim=1)

    def _step(self, bank: Tensor, x: Images, start: Images) -> Images:
        sharp = x if not self.rho else x + self.rho * _direction(self._gradient(bank, x)[1])
        return self._project(x - self.step_size * self._gradient(bank, sharp)[1], start)

    def _pullback(self, bank: Tensor, x: Images, start: Images, v: Tensor) -> tuple[Tensor, Tensor]:
        """The exact vector-Jacobian product of `_step`: `v' = v - eta (w + rho H(x) P w / ||g||)`, `w = H(x~) v`."""
        sharp, leaf, slope = x, x, x
        if self.rho:
            leaf, slope = self._gradient(bank, x, graph=True)
            sharp = x + self.rho * _direction(slope.detach())
        top, steepest = self._gradient(bank, sharp, graph=True)
        v, to_start = self._project_pullback(x - self.step_size * steepest.detach(), start, v)
        (w,) = torch.autograd.grad(steepest, top, v)
        if self.rho:
            (turn,) = torch.autograd.grad(slope, leaf, _direction_pullback(slope.detach(), w))
            w = w + self.rho * turn
        return v - self.step_size * w, to_start

    def _gradient(self, bank: Tensor, x: Images, *, graph: bool = False) -> tuple[Tensor, Tensor]:
        """A leaf with the value of `x`, and the gradient of `ERE` there, with a graph of its own if requested."""
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.error(bank, leaf).sum(), leaf, create_graph=graph)
        return leaf, gradient

    def _project(self, x: Images, start: Images) -> Images:
        if self.norm == "linf":
            return clamp(clamp(x, start - self.radius, start + self.radius))
        if not self.radius:
            return clamp(start)
        length = torch.linalg.vector_norm(x - start, dim=(1, 2, 3), keepdim=True)
        return clamp(start + (x - start) * (self.radius / length.clamp_min(self.radius)))

    def _project_pullback(self, x: Images, start: Images, v: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            leaves = x.detach().requires_grad_(), start.detach().requires_grad_()
            to_x, to_start = torch.autograd.grad(self._project(*leaves), leaves, v, materialize_grads=True)
        return to_x, to_start


def _length(g: Tensor) -> Tensor:
    return torch.linalg.vector_norm(g, dim=(1, 2, 3), keepdim=True)


def _direction(g: Tensor) -> Tensor:
    """`g / ||g||` per image, 0 where `g` is 0."""
    length = _length(g)
    return torch.where(length > 0, g / length, 0)


def _direction_pullback(g: Tensor, w: Tensor) -> Tensor:
    """`P w / ||g||` with `P = I - g g^T / ||g||^2` per image, 0 where `g` is 0."""
    length, along = _length(g), _direction(g)
    across = w - along * (along * w).sum(dim=(1, 2, 3), keepdim=True)
    return torch.where(length > 0, across / length, 0)
