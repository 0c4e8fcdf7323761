"""Images and labels given as tensors or arrays: checked, and put in order as a file of them would be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from bench.data.arrays import dataset_of
from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.objects.forms import kind_of

CHANNELS = (1, 3)
DIGITS = 6
"""Digits of the content hash in the name of a data set."""


def dataset_from(images: Any, labels: Any, *, name: str = "images", classes: Sequence[str] | None = None) -> Dataset:
    """The data set of images in [0, 1] and their labels, in class-balanced order; ids are positions.

    Arguments:
        images: Tensor or array of floats, shape `(N, C, H, W)` with 1 or 3 channels.
        labels: Whole numbers from 0, shape `(N,)`.
        name: What it is called; the first digits of its content hash are added.
        classes: Names of the classes; None numbers them.

    Raises:
        UserError: They are of another form.
    """
    pixels, numbers = _checked_images(_array(images, "images")), _array(labels, "labels")
    _check_labels(numbers, len(pixels))
    named = tuple(classes) if classes and len(classes) > int(numbers.max()) else None
    dataset = dataset_of(name, pixels, numbers.astype(np.int64), named)
    return replace(dataset, name=f"{name}-{dataset.sha256[:DIGITS]}")


def _array(values: Any, what: str) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()
    if isinstance(values, list | tuple):
        values = np.array(values) if what == "labels" else values
    if not isinstance(values, np.ndarray):
        raise UserError(
            "array-kind",
            what=what,
            got=kind_of(values),
            advice="stack them: torch.stack(list_of_tensors)" if what == "images" else "write torch.tensor(labels)",
        )
    return values


def _checked_images(images: np.ndarray) -> np.ndarray:
    """Images as float32; errors say what to do about other forms."""
    shape = images.shape
    if images.ndim == 4 and shape[1] not in CHANNELS and shape[3] in CHANNELS:
        raise UserError("images-channels-last", shape=shape)
    if images.ndim != 4 or shape[1] not in CHANNELS:
        advice = (
            "add the batch or the channel axis: images[None] or images[:, None]" if images.ndim == 3 else "reshape them"
        )
        raise UserError("images-shape", shape=shape, advice=advice)
    if not len(images):
        raise UserError("images-none")
    if images.dtype.kind != "f":
        raise UserError(
            "images-dtype",
            dtype=images.dtype,
            advice="divide by 255: images / 255" if images.dtype == np.uint8 else "convert them",
        )
    _check_range(images)
    return images.astype(np.float32)


def _check_range(images: np.ndarray) -> None:
    if not np.isfinite(images).all():
        raise UserError("images-not-finite")
    low, high = float(images.min()), float(images.max())
    if low < 0:
        raise UserError("images-normalised", low=low, high=high)
    if high > 1:
        raise UserError("images-range", low=low, high=high)


def _check_labels(labels: np.ndarray, images: int) -> None:
    if labels.ndim == 2 and labels.shape[1] > 1:
        advice = "if each row is one-hot, give labels.argmax(1)"
    elif labels.ndim == 2:
        advice = "give labels.flatten()"
    else:
        advice = "give one label for each image"
    if labels.shape != (images,):
        raise UserError("labels-length", images=images, shape=labels.shape, advice=advice)
    if labels.dtype.kind not in "iu":
        raise UserError("labels-dtype", dtype=labels.dtype)
    if labels.min() < 0:
        raise UserError("labels-negative", low=int(labels.min()))
