"""Quality of a trained network on held-out images, for its card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.models.training.adversarial import Adversary, pgd_figures


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


def score_figures(images: np.ndarray) -> Callable[[nn.Module], dict[str, float]]:
    """A function of the score model: its root mean squared error on these images by noise level, in pixel units."""

    def figures(model: nn.Module) -> dict[str, float]:
        score: Any = model
        x = torch.from_numpy(images.astype(np.float32) / 255)
        generator = torch.Generator().manual_seed(0)
        errors = {}
        for sigma in (0.05, 0.1, 0.2, 0.3, 0.5, 1.0):
            noisy = x + sigma * torch.randn(x.shape, generator=generator)
            clean = torch.cat([score.denoise(part, sigma) for part in noisy.split(500)])
            errors[f"rmse_at_{sigma:g}"] = float((clean - x).square().mean().sqrt())
        return errors

    return figures
