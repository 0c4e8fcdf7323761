"""Adversarial training: examples to train on, and a short attack for the card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.ball import project, steepest
from bench.errors import UserError
from bench.margin import margin
from bench.protocols import Images
from bench.threat import ThreatModel

CARD_STEPS, CARD_IMAGES = 20, 1_000


@dataclass(frozen=True, kw_only=True)
class Adversary:
    """Replaces training images by projected-gradient examples that raise the cross-entropy.

    From a uniform start in the ball: `x <- project(x + 2 eps / steps * sign(gradient))`, `steps` times. On a linear model one
    step is therefore FGSM, from any start.

    References:
        Towards Deep Learning Models Resistant to Adversarial Attacks (Madry, Makelov, Schmidt, Tsipras, Vladu, 2018)
        https://arxiv.org/abs/1706.06083

    Arguments:
        threat: The ball, as text like `linf:8/255`.
        steps: Gradient steps per example.

    Raises:
        UserError: The norm is not `linf`.
    """

    threat: str
    steps: int = 5

    def __post_init__(self) -> None:
        if ThreatModel.parse(self.threat).norm != "linf":
            raise UserError("train-norm", threat=self.threat)

    def examples(self, model: nn.Module, x: Images, y: Tensor, generator: torch.Generator) -> Images:
        """Adversarial examples of `x`; their starts are drawn from `generator` on the CPU."""
        return _climb(model, x, y, ThreatModel.parse(self.threat), self.steps, generator, F.cross_entropy)


def pgd_figures(model: nn.Module, images: np.ndarray, labels: np.ndarray, threat: str) -> dict[str, float | int | str]:
    """Accuracy under a short attack and its description: an upper bound of robust accuracy, not a benchmark result.

    Arguments:
        model: The classifier, on the CPU.
        images: uint8 `(N, C, H, W)`; the first 1000 are attacked, from starts with a fixed seed.
        labels: Shape `(N,)`.
        threat: The ball.
    """
    generator, hits = torch.Generator().manual_seed(0), 0
    x = torch.from_numpy(images[:CARD_IMAGES].astype(np.float32) / 255)
    y = torch.from_numpy(labels[:CARD_IMAGES])
    for part, label in zip(x.split(500), y.split(500), strict=True):
        found = _climb(
            model, part, label, ThreatModel.parse(threat), CARD_STEPS, generator, lambda z, y: -margin(z, y).sum()
        )
        hits += int((model(found).argmax(dim=1) == label).sum())
    return {
        "accuracy": hits / len(y),
        "threat": threat,
        "images": len(y),
        "attack": f"PGD on the margin, {CARD_STEPS} steps of {2 / CARD_STEPS:g} eps, one random start: an upper bound",
    }


def _climb(
    model: nn.Module,
    x: Images,
    y: Tensor,
    threat: ThreatModel,
    steps: int,
    generator: torch.Generator,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Images:
    start = 2 * torch.rand(x.shape, generator=generator).to(x.device) - 1
    found = project(x + threat.radius * start, x, threat)
    for _ in range(steps):
        found.requires_grad_()
        (slope,) = torch.autograd.grad(loss(model(found), y), found)
        found = project(found.detach() + 2 * threat.radius / steps * steepest(slope, threat), x, threat)
    return found
