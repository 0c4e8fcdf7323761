"""Data sets: ids, images and labels in a fixed order, and a content hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.errors import UserError

ROWS = 1_000
"""Images that are hashed at once, so that arrays on disk are never loaded as a whole."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Images and labels in a fixed order: the first n are the subset of size n.

    Arguments:
        name: Name in records and tables.
        ids: Sample ids, shape `(N,)`, unique, in `[0, 2^32)`.
        images: Shape `(N, C, H, W)`; uint8 in 0..255, or floats in [0, 1].
        labels: Shape `(N,)`, in `[0, len(classes))`.
        classes: Names of the classes.
        remarks: Notes for every record of these images, such as which files were left out.

    Raises:
        UserError: The arrays do not fit together, or hold NaN or values out of range.
    """

    name: str
    ids: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_images(self.name, self.images)
        _check_labels(self.name, self.labels, len(self.images), len(self.classes))
        if self.ids.shape != self.labels.shape or len(np.unique(self.ids)) != len(self.ids):
            raise UserError("data-ids-repeated", name=self.name, count=len(self.ids))
        if self.ids.dtype.kind not in "iu" or self.ids.min() < 0 or self.ids.max() >= 1 << 32:
            raise UserError(
                "data-ids-range", name=self.name, dtype=self.ids.dtype, low=self.ids.min(), high=self.ids.max()
            )

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sha256(self) -> str:
        """Hash of ids, images and labels (little endian, row-major)."""
        digest = hashlib.sha256()
        for array in (self.ids.astype("<i8"), self.images, self.labels.astype("<i8")):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            for start in range(0, len(array), ROWS):
                digest.update(np.ascontiguousarray(array[start : start + ROWS]).data)
        return digest.hexdigest()

    def floats(self, rows: slice | np.ndarray) -> np.ndarray:
        """The images of some rows as float32 in [0, 1], shape `(B, C, H, W)`."""
        chosen = self.images[rows]
        return chosen.astype(np.float32) / np.float32(255) if chosen.dtype == np.uint8 else chosen.astype(np.float32)


def balanced(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    *,
    first: int = 0,
    remarks: tuple[str, ...] = (),
) -> Dataset:
    """A data set in class-balanced order, whose ids are positions in the given arrays.

    Arguments:
        name: Name in records and tables.
        images: Shape `(N, C, H, W)`; uint8 in 0..255, or floats in [0, 1].
        labels: Shape `(N,)`, in `[0, len(classes))`.
        classes: Names of the classes.
        first: The id of the first image.
        remarks: Notes for every record of these images.
    """
    order = balanced_order(labels)
    images, labels = images[order], labels[order]
    return Dataset(name=name, ids=order + first, images=images, labels=labels, classes=classes, remarks=remarks)


def balanced_order(labels: np.ndarray) -> np.ndarray:
    """The positions 0..N-1 in an order in which classes take turns: any first n hold each class about equally often.

    Within a class the given order is kept; exhausted classes are skipped.
    """
    rank = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = labels == label
        rank[members] = np.arange(members.sum())
    return np.lexsort((labels, rank))


def _check_images(name: str, images: np.ndarray) -> None:
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise UserError("data-shape", name=name, shape=images.shape)
    if images.dtype == np.uint8:
        return
    if images.dtype.kind != "f":
        raise UserError("data-dtype", name=name, dtype=images.dtype)
    if not np.isfinite(images).all():
        bad = int(np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))[0])
        raise UserError("data-not-finite", name=name, index=bad)
    if images.size and (images.min() < 0 or images.max() > 1):
        raise UserError("data-range", name=name, low=images.min(), high=images.max())


def _check_labels(name: str, labels: np.ndarray, images: int, classes: int) -> None:
    if labels.shape != (images,) or labels.dtype.kind not in "iu":
        raise UserError("data-labels", name=name, count=images, dtype=labels.dtype, shape=labels.shape)
    if not images:
        raise UserError("data-empty", name=name)
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError("data-label-range", name=name, most=classes - 1, low=labels.min(), high=labels.max())
