"""MNIST: handwritten digits, 28 x 28 grey, from disk or downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.data.dataset import Dataset, balanced
from bench.data.idx import idx_folder, read_idx

CLASSES = tuple("0123456789")


def mnist(data_dir: Path | None = None) -> Dataset:
    """The 10,000 test images in class-balanced order; ids are positions in the original file.

    References:
        Gradient-Based Learning Applied to Document Recognition (LeCun, Bottou, Bengio, Haffner, 1998)
        https://doi.org/10.1109/5.726791

    Arguments:
        data_dir: A folder with the `*-ubyte.gz` files, or torchvision's root folder; missing files are downloaded.
    """
    return balanced("mnist", *_split(data_dir, "t10k"), CLASSES)


def mnist_training(data_dir: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The 60,000 training images `(N, 1, 28, 28)` uint8 and labels."""
    return _split(data_dir, "train")


def _split(data_dir: Path | None, split: str) -> tuple[np.ndarray, np.ndarray]:
    from torchvision.datasets import MNIST

    checksums = {name: f"md5:{md5}" for name, md5 in MNIST.resources}
    return read_idx(idx_folder(MNIST, data_dir, split), split, checksums)
