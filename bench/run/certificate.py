"""Certified radii of a defense with a certificate."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.defended import DefendedClassifier
from bench.noise import Noise
from bench.protocols import Images

SELECTION = 100
"""Draws that choose the class; the other draws bound its probability."""


def certified_radii(model: DefendedClassifier, x: Images, y: Tensor, noise: Noise) -> list[float] | None:
    """The l2 radius within which each image's label is certified; None for a defense without a certificate.

    The radius is 0 if the defense abstains or certifies another class. A defense has a certificate if it has a field `certify`,
    the number of draws, and a method `certified_radius(hits)`. These draws have a purpose of their own.

    References:
        Certified Adversarial Robustness via Randomized Smoothing (Cohen, Rosenfeld, Kolter, 2019)
        https://arxiv.org/abs/1902.02918

    Arguments:
        model: The deployed defense; each draw is one purification, regardless of its votes.
        x: Images.
        y: Labels `(B,)`.
        noise: Their streams.
    """
    certify = getattr(model.defense, "certify", 0)
    if not certify:
        return None
    logits = model.single().sample(x, noise.of("certify").spread(SELECTION + certify))
    seen = F.one_hot(logits.argmax(dim=2), logits.shape[2])
    winners = seen[:SELECTION].sum(dim=0).argmax(dim=1)
    hits = seen[SELECTION:].sum(dim=0)[torch.arange(len(x), device=x.device), winners]
    return [
        model.defense.certified_radius(count) if right else 0.0  # type: ignore[attr-defined]
        for count, right in zip(hits.tolist(), (winners == y).tolist(), strict=True)
    ]
