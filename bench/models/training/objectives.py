"""Training losses of a batch; their random numbers come from a generator on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.models.denoisers.variance_preserving import VariancePreservingDenoiser
from bench.models.networks.preconditioning import PreconditionedDenoiser
from bench.models.training.adversarial import Adversary
from bench.models.training.augmentation import flipped

Loss = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]


def classification_loss(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """Cross-entropy on images flipped at random."""
    return F.cross_entropy(model(flipped(x, generator)), y)


def adversarial_loss(adversary: Adversary) -> Loss:
    """Cross-entropy on adversarial examples of images flipped at random (Madry et al. 2018)."""

    def loss(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        return F.cross_entropy(model(adversary.examples(model, flipped(x, generator), y, generator)), y)

    return loss


def denoising_loss(
    model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator, *, levels: tuple[float, float] = (-1.4, 0.9)
) -> Tensor:
    """Squared error of the denoised images at log-normal noise levels, weighted to unit scale (Karras et al. 2022).

    Arguments:
        model: A `PreconditionedDenoiser`.
        x: Clean images `(B, C, H, W)`.
        y: Not used.
        generator: Draws levels and noise.
        levels: Mean and standard deviation of the logarithm of the noise level in pixel units.
    """
    model, (centre, width) = _denoiser(model), levels
    level = torch.randn(len(x), generator=generator) * width + centre
    level = level.exp().clamp(0.6 * model.low, 1.5 * model.high)
    level, noise = level.to(x.device), torch.randn(x.shape, generator=generator).to(x.device)
    noisy = x + level.view(-1, 1, 1, 1) * noise
    weight = (level**2 + model.spread**2) / (level * model.spread) ** 2
    return (weight * (model(noisy, level) - x).square().mean(dim=(1, 2, 3))).mean()


def noise_loss(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """Squared error of the noise estimate at uniform times of the schedule (Ho et al. 2020, the simple loss)."""
    if not isinstance(model, VariancePreservingDenoiser):
        raise TypeError(f"expected a VariancePreservingDenoiser, got {type(model).__name__}")
    time = torch.randint(len(model.levels), (len(x),), generator=generator).to(x.device)
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    return F.mse_loss(model.predict(model.noised(x, time, noise), time), noise)


def _denoiser(model: nn.Module) -> PreconditionedDenoiser:
    if not isinstance(model, PreconditionedDenoiser):
        raise TypeError(f"expected a PreconditionedDenoiser, got {type(model).__name__}")
    return model
