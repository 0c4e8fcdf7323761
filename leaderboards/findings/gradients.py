"""Compares the BPDA gradient and that of the classifier alone (blind) with the exact gradient of a defense.

    python -m leaderboards.findings.gradients lm denoise-once

Prints for each defense the mean cosine with the exact gradient and the share of negative cosines, over the first images whose
exact gradient is not zero. Prints also the accuracy of all images, under the same draws, after one step of sign(gradient) whose
length is the radius of the board.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from tabulate import tabulate
from torch.nn.functional import cosine_similarity, cross_entropy

from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry

IMAGES = 50
HEADINGS = [
    "defense",
    "gradient",
    "cosine with the exact one",
    "negative for",
    "accuracy before",
    "after a step along it",
]


def rows(defense: str) -> list[list[str]]:
    """One row per gradient mode."""
    planned = plan(Request(defense=defense, attack="pgd-bpda"), make_registry())
    first, data = np.arange(IMAGES), planned.dataset
    x, y = torch.from_numpy(data.floats(first)), torch.from_numpy(data.labels[first])
    draws = Noise(0, torch.from_numpy(data.ids[first].astype(np.int64))).of("score")
    model = DefendedClassifier(planned.classifier, planned.make_defense(planned.score), chunk=25)

    def slope(mode: GradientMode, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, _, gradient = model.view(mode).differentiate(
            x, y, draws, lambda z, y: cross_entropy(z, y, reduction="none")
        )
        return (logits.argmax(dim=1) == y).double().mean(), gradient

    slopes = {mode: slope(mode, x) for mode in (GradientMode.FULL, GradientMode.BPDA, GradientMode.BLIND)}
    before, exact = slopes[GradientMode.FULL]
    rated, found = exact.flatten(1).any(dim=1), []
    for mode, (_, gradient) in slopes.items():
        cosine = cosine_similarity(gradient.double().flatten(1), exact.double().flatten(1), eps=1e-300)[rated]
        after, _ = slope(GradientMode.FULL, (x + planned.threat.radius * gradient.sign()).clamp(0, 1))
        negative = (cosine < 0).double().mean()
        found.append([defense, mode.value, f"{cosine.mean():+.2f}", f"{negative:.0%}", f"{before:.0%}", f"{after:.0%}"])
    return found


if __name__ == "__main__":
    table = [row for defense in sys.argv[1:] for row in rows(defense)]
    print(tabulate(table, headers=HEADINGS, tablefmt="github", disable_numparse=True))
