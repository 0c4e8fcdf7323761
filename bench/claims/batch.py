"""Checks that an image gives the same result at every batch size; a factor 1 / B or batch statistics change it."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.claims.repetition import Scoring
from bench.claims.twin import Twin
from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.protocols import Images
from bench.records.claim import Claim, judged

SINGLE, DOUBLE = 1e-3, 1e-9
"""Largest difference in float32 and in float64.

Kernels of other shapes round differently. Iterated purifiers and those with kinks amplify this: built-in ones up to 3e-5 and 4e-13.
"""
MEANS = (
    "an image's logits must not depend on how many are computed with it, else the number depends on the batch size; sum per image, never "
    "over the batch, or give --batch-size 1, which goes image by image and is then part of the run id"
)


def batch_size(model: DefendedClassifier, scoring: Scoring, x: Images, noise: Noise, sizes: tuple[int, int]) -> Claim:
    """The claim in the run's own precision, for the median over images, since rounding at a kink may move a few far.

    Arguments:
        model: The scored view.
        scoring: Scores a view.
        x: A few images.
        noise: Their draws.
        sizes: Two batch sizes.
    """
    value = float(differences(model, scoring, x, noise, sizes).median())
    return judged("batch size", value, SINGLE, value <= SINGLE, MEANS)


def batch_size_in_double(twin: Twin | None, scoring: Scoring, sizes: tuple[int, int]) -> Claim:
    """The claim in double precision, for every image; not measured without a copy in double precision."""
    value = None if twin is None else float(differences(twin.model, scoring, twin.x, twin.noise, sizes).max())
    return judged("batch size, float64", value, DOUBLE, None if value is None else value <= DOUBLE, MEANS)


def differences(model: DefendedClassifier, scoring: Scoring, x: Images, noise: Noise, sizes: tuple[int, int]) -> Tensor:
    """The difference between two batch sizes for each image, `(B,)`: the larger of `pixel_differences` and that of the logits.

    The difference of logits is the largest one, relative to the largest logit or to 1.

    Arguments:
        model: Any view.
        scoring: Scores a view.
        x: Images.
        noise: Their draws.
        sizes: Two batch sizes.
    """
    views = [model.view(GradientMode.NONE).sized(size) for size in sizes]
    pixels = pixel_differences(*(view.shown(x, noise).detach() for view in views))
    one, other = (scoring(view, x, noise) for view in views)
    return torch.maximum(pixels, (one - other).abs().amax(dim=1) / one.abs().amax(dim=1).clamp_min(1.0))


def pixel_differences(one: Images, other: Images) -> Tensor:
    """The root mean square over pixels of the difference between two results for each image, `(B,)`."""
    return (one - other).flatten(1).square().mean(dim=1).sqrt()
