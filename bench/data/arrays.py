"""Your own images in an `.npz` file."""

from __future__ import annotations

import logging
import zipfile
import zlib
from pathlib import Path

import numpy as np

from bench.data.dataset import Dataset, balanced
from bench.data.npy import check_arrays
from bench.errors import UserError

LOG = logging.getLogger("bench.arrays")
MOST_CLASSES = 100_000

_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    AttributeError,  # the last two: an .npy file holds one array, which is no context manager
    TypeError,
)


def npz(*, path: str) -> Dataset:
    """Images and labels of a NumPy archive in class-balanced order; ids are positions in the file.

    Arguments:
        path: File with `labels` `(N,)` and `images`: `(N, H, W)`, `(N, H, W, C)` or `(N, C, H, W)`, uint8 or floats
            in [0, 1].

    Raises:
        UserError: The file is missing or no such archive, or its arrays do not fit.
    """
    try:
        if zipfile.is_zipfile(path):
            check_arrays(Path(path))
        with np.load(path, allow_pickle=False) as archive:
            if not {"images", "labels"} <= set(archive.files):
                raise UserError("npz-arrays", path=path, files=", ".join(archive.files) or "none")
            images, labels = archive["images"], archive["labels"]
    except _UNREADABLE as error:
        raise UserError("npz-unreadable", path=path, error=error) from error
    remarks = _remarks(labels)
    for text in remarks:
        LOG.warning("%s: %s", path, text)
    return dataset_of(f"npz-{Path(path).stem}", channels_first(path, images), labels, remarks=remarks)


def dataset_of(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...] | None = None,
    remarks: tuple[str, ...] = (),
) -> Dataset:
    """Images `(N, C, H, W)` and labels `(N,)` in class-balanced order; ids are positions.

    Raises:
        UserError: The labels are not one whole number from 0 per image.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(images):
        raise UserError(
            "npz-labels",
            name=name,
            count=len(images),
            dtype=labels.dtype,
            shape=labels.shape,
            advice=_advice(labels, len(images)),
        )
    if labels.max(initial=0) >= MOST_CLASSES:
        raise UserError("npz-label-range", name=name, most=MOST_CLASSES - 1, high=labels.max())
    names = classes or tuple(str(label) for label in range(int(labels.max(initial=0)) + 1))
    return balanced(name, images, labels.astype(np.int64), names, remarks=remarks)


def _advice(labels: np.ndarray, images: int) -> str:
    """How to convert labels of another form."""
    if len(labels.shape) != 2 or len(labels) != images:
        numbers = labels.shape == (images,) and labels.dtype.kind in "fb"
        return "save labels.astype(int)" if numbers else "give one per image"
    return "save labels.ravel()" if labels.shape[1] == 1 else "if each row is one-hot, save labels.argmax(axis=1)"


def _remarks(labels: np.ndarray) -> tuple[str, ...]:
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or not labels.size or labels.min() < 1:
        return ()
    return (f"labels are {labels.min()}..{labels.max()}, and none is 0: subtract 1 from them if they count from 1",)


def channels_first(path: str, images: np.ndarray) -> np.ndarray:
    """Images as `(N, C, H, W)`; raises `UserError` if no axis has 1 or 3 channels."""
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    raise UserError("npz-shape", path=path, shape=images.shape)
