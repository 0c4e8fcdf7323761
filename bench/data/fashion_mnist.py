"""Fashion-MNIST: the test images are in the package, the training images on disk or downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.data.dataset import Dataset, balanced
from bench.data.idx import idx_folder, read_idx

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
HELD_OUT = 2_000
"""Number of held-out training images, the last ones: for choosing defaults, never for training or scores."""

# Checksums of the decompressed files, since mirrors compress them differently.
CHECKSUMS = {
    "t10k-images-idx3-ubyte": "sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    "train-images-idx3-ubyte": "sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
}


def fashion_mnist(data_dir: Path | None = None) -> Dataset:
    """The 10,000 test images in class-balanced order; ids are positions in the original file.

    References:
        Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms (Xiao, Rasul, Vollgraf, 2017)
        https://github.com/zalandoresearch/fashion-mnist (MIT licence)
    """
    images, labels = read_idx(Path(__file__).parent / "fashion-mnist", "t10k", CHECKSUMS)
    return balanced("fashion-mnist", images, labels, CLASSES)


def fashion_mnist_training(data_dir: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The 60,000 training images `(N, 1, 28, 28)` uint8 and labels; downloaded if missing.

    Arguments:
        data_dir: A folder with the four `*-ubyte.gz` files, or torchvision's root folder.
    """
    from torchvision.datasets import FashionMNIST

    return read_idx(idx_folder(FashionMNIST, data_dir, "train"), "train", CHECKSUMS)


def fashion_mnist_recipe(data_dir: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The training images for recipes, without the held-out ones."""
    images, labels = fashion_mnist_training(data_dir)
    return images[:-HELD_OUT], labels[:-HELD_OUT]


def fashion_mnist_selection(data_dir: Path | None = None) -> Dataset:
    """The held-out training images, class-balanced: for choosing arguments, never for scores."""
    images, labels = fashion_mnist_training(data_dir)
    images, labels = images[-HELD_OUT:], labels[-HELD_OUT:]
    return balanced("fashion-mnist-selection", images, labels, CLASSES, first=60_000 - HELD_OUT)
