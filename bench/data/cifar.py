"""CIFAR-10 and CIFAR-100: 32 x 32 in colour, from disk or downloaded, read by torchvision's loaders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.data.dataset import Dataset, balanced
from bench.errors import UserError
from bench.files.download import cache_folder, fetch


def cifar10(data_dir: Path | None = None) -> Dataset:
    """The 10,000 test images of CIFAR-10, in a fixed class-balanced order; ids are positions in the original file.

    The files are pickles; torchvision's loader only opens files with the published md5.

    References:
        Learning Multiple Layers of Features from Tiny Images (Krizhevsky, 2009)
        https://www.cs.toronto.edu/~kriz/cifar.html

    Arguments:
        data_dir: A folder with `cifar-10-python.tar.gz`, or torchvision's root folder; a missing file is downloaded.
    """
    return _test_images("cifar10", "CIFAR10", data_dir)


def cifar10_training(data_dir: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The 50,000 training images `(N, 3, 32, 32)` uint8 of CIFAR-10 and labels."""
    return _arrays(_load("CIFAR10", data_dir, train=True))


def cifar100(data_dir: Path | None = None) -> Dataset:
    """The 10,000 test images of CIFAR-100 with its 100 fine labels; otherwise like `cifar10`."""
    return _test_images("cifar100", "CIFAR100", data_dir)


def cifar100_training(data_dir: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The 50,000 training images `(N, 3, 32, 32)` uint8 of CIFAR-100 and its fine labels."""
    return _arrays(_load("CIFAR100", data_dir, train=True))


def _test_images(name: str, kind: str, data_dir: Path | None) -> Dataset:
    found = _load(kind, data_dir, train=False)
    return balanced(name, *_arrays(found), tuple(found.classes))


def _arrays(found: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(found.data.transpose(0, 3, 1, 2)), np.array(found.targets, dtype=np.int64)


def _load(name: str, data_dir: Path | None, *, train: bool) -> Any:
    """Torchvision's data set; the archive is downloaded and unpacked unless all files have their published md5."""
    from torchvision import datasets

    kind, root = getattr(datasets, name), cache_folder(data_dir)
    try:
        return kind(root, train=train)
    except RuntimeError:
        advice = f"pass --data-dir FOLDER with {kind.filename}"
        fetch([kind.url], root / kind.filename, checksum=f"md5:{kind.tgz_md5}", advice=advice)
    try:
        return kind(root, train=train, download=True)  # unpacks the archive
    except (RuntimeError, OSError, EOFError) as error:
        raise UserError("cifar-unpack-failed", root=root / kind.filename, error=error) from error
