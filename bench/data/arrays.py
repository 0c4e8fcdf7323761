"""The user's own images: an `.npz` file, or a folder with one folder a class."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from bench.data.dataset import Dataset, balanced_order
from bench.data.npy import check_arrays
from bench.errors import UserError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
MOST_CLASSES = 100_000

# The last two: an .npy file gives an array, which is no context manager.
_UNREADABLE = (
    OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, AttributeError, TypeError, NotImplementedError, RuntimeError,
    MemoryError,
)  # fmt: skip


def npz(*, path: str) -> Dataset:
    """Images and labels of a NumPy archive, in class-balanced order; ids are positions in the file.

    Arguments:
        path: File with `images` (`(N, H, W)`, `(N, H, W, C)` or `(N, C, H, W)`; uint8 or floats in [0, 1]) and `labels` `(N,)`.

    Raises:
        UserError: The file is missing, is no such archive, or its arrays do not fit.
    """
    try:
        if zipfile.is_zipfile(path):
            check_arrays(Path(path))
        with np.load(path, allow_pickle=False) as archive:
            images, labels = archive["images"], archive["labels"]
    except KeyError as error:
        raise UserError(
            f"expected arrays named images and labels in {path}, got no such name ({error}); save them under these names"
        ) from error
    except _UNREADABLE as error:
        raise UserError(f"expected an .npz file at {path}, got: {error}; check the path") from error
    return _dataset(f"npz-{Path(path).stem}", _channels_first(path, images), labels)


def folder(*, path: str) -> Dataset:
    """Images of a folder tree, the sorted names of whose sub-folders are the classes; all images of one size.

    Arguments:
        path: The folder.

    Raises:
        UserError: No class folders, no images, unreadable ones, or sizes that differ.
    """
    root = Path(path)
    names = sorted(child.name for child in root.iterdir() if child.is_dir()) if root.is_dir() else []
    files = [
        (file, label)
        for label, name in enumerate(names)
        for file in sorted((root / name).iterdir())
        if file.suffix.lower() in SUFFIXES
    ]
    if not files:
        raise UserError(f"expected {path} to hold one folder of images per class, got no images; check the path")
    images = [_read_image(file) for file, _ in files]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise UserError(f"expected images of one size and mode in {path}, got shapes {sorted(shapes)}; resize them")
    labels = np.array([label for _, label in files])
    return _dataset(f"folder-{root.resolve().name}", _channels_first(path, np.stack(images)), labels, tuple(names))


def _dataset(name: str, images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...] | None = None) -> Dataset:
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(images):
        raise UserError(
            f"data set {name!r}: expected {len(images)} integer labels, got {labels.dtype} of shape {labels.shape}; give one per image"
        )
    if labels.max(initial=0) >= MOST_CLASSES:
        raise UserError(
            f"data set {name!r}: expected labels in 0..{MOST_CLASSES - 1}, got {labels.max()}; renumber them from 0"
        )
    names = classes or tuple(str(label) for label in range(int(labels.max(initial=0)) + 1))
    order = balanced_order(labels)
    return Dataset(name=name, ids=order, images=images[order], labels=labels[order].astype(np.int64), classes=names)


def _channels_first(path: str, images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    raise UserError(
        f"expected images of shape (N, H, W), (N, H, W, C) or (N, C, H, W) in {path}, got {images.shape}; reshape them"
    )


def _read_image(file: Path) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            if image.mode.startswith("I"):  # 16-bit grey, which `convert` would clip and not scale
                return np.rint(np.asarray(image) / 257).astype(np.uint8)
            return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"expected an image at {file}, got: {error}; repair or remove it") from error
