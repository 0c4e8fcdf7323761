"""Checks that a stochastic defense gives another result for another draw."""

from __future__ import annotations

from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.protocols import Images
from bench.records.claim import Claim, judged


def other_draws(model: DefendedClassifier, x: Images, noise: Noise) -> Claim:
    """The claim that some pixel of some image differs between two draws.

    Arguments:
        model: The defense.
        x: A few images.
        noise: One of their draws.
    """
    one, other = (model.view(GradientMode.NONE).shown(x, draw).detach() for draw in (noise, noise.after(1)))
    value = float((one - other).abs().max())
    means = "a defense that gives the same for every draw is deterministic, and an attacker who averages over draws wastes them; claim `deterministic = True`, or draw from `noise`"
    return judged("other draws", value, 0.0, value > 0, means)
