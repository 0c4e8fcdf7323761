"""Quality of a trained network on held-out images, for its card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.models.training.adversarial import Adversary, pgd_figures

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
"""Noise levels of the errors; a score model is evaluated from its smallest level on, one without any from the second."""
MOST_PIXELS, ROWS = 4_096, 1_000


def classifier_figures(
    images: np.ndarray, labels: np.ndarray, adversary: Adversary | None = None
) -> Callable[[nn.Module], dict[str, Any]]:
    """A function of the classifier: its accuracy on these images, and under a short attack if there is an adversary."""

    def figures(model: nn.Module) -> dict[str, Any]:
        x = torch.from_numpy(images.astype(np.float32) / 255)
        hits = torch.cat([model(part).argmax(dim=1) for part in x.split(500)]).numpy() == labels
        robust = {"under_pgd": pgd_figures(model, images, labels, adversary.threat)} if adversary else {}
        return {"test_accuracy": float(hits.mean()), **robust}

    return figures


def score_figures(images: np.ndarray, training: np.ndarray | None = None) -> Callable[[nn.Module], dict[str, float]]:
    """A function of the score model: its root mean squared error on these images by noise level, in pixel units.

    Arguments:
        images: uint8 `(N, C, H, W)`, which it was not trained on.
        training: Training images, for the error of the best linear denoiser beside it; None to leave that out.
    """

    def figures(model: nn.Module) -> dict[str, float]:
        score: Any = model
        x = torch.from_numpy(images.astype(np.float32) / 255)
        generator = torch.Generator().manual_seed(0)
        errors = {}
        for sigma in [level for level in LEVELS if level >= getattr(model, "low", LEVELS[1])]:
            noisy = x + sigma * torch.randn(x.shape, generator=generator)
            clean = torch.cat([score.denoise(part, sigma) for part in noisy.split(500)])
            errors[f"rmse_at_{sigma:g}"] = float((clean - x).square().mean().sqrt())
        if training is not None and training[0].size <= MOST_PIXELS:
            errors |= _linear_errors(training, images, [float(name.removeprefix("rmse_at_")) for name in errors])
        return errors

    return figures


def _linear_errors(training: np.ndarray, images: np.ndarray, levels: list[float]) -> dict[str, float]:
    """Expected error of Tweedie's formula for a Gaussian with mean `m` and covariance `C` of the training images.

    Its denoiser is `E[x | y] = m + C (C + sigma^2)^-1 (y - m)`. With an image's coordinates `c` along the eigenvectors of `C`
    (eigenvalues `v`) and noise, its squared error has the expectation `sum (sigma^4 c^2 + sigma^2 v^2) / (v + sigma^2)^2`.

    References:
        Tweedie's Formula and Selection Bias (Efron, 2011)
        https://doi.org/10.1198/jasa.2011.tm11181
    """
    mean, covariance = _moments(training)
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0)
    power = np.zeros(len(values))
    for start in range(0, len(images), ROWS):
        part = images[start : start + ROWS].reshape(-1, len(values)) / 255
        power += (((part - mean) @ vectors) ** 2).sum(axis=0)
    power /= len(images)
    errors = {sigma: ((sigma**4 * power + sigma**2 * values**2) / (values + sigma**2) ** 2).mean() for sigma in levels}
    return {f"gaussian_rmse_at_{sigma:g}": float(error**0.5) for sigma, error in errors.items()}


def _moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of flattened images in pixel units."""
    size = images[0].size
    total, products = np.zeros(size), np.zeros((size, size))
    for start in range(0, len(images), ROWS):
        part = images[start : start + ROWS].reshape(-1, size) / 255
        total += part.sum(axis=0)
        products += part.T @ part
    mean = total / len(images)
    return mean, products / len(images) - np.outer(mean, mean)
