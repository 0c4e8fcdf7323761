"""Fashion-MNIST: the 10,000 test images inside the package, the 60,000 training images from disk or the network."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np

from bench.data.dataset import Dataset, balanced_order
from bench.errors import UserError

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
HELD_OUT = 2_000
"""Training images (the last ones) that no recipe trains on: defaults are selected on them, no score is taken on them."""

# Of the decompressed files: mirrors compress them differently.
SHA256 = {
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
}


def fashion_mnist(data_dir: Path | None = None) -> Dataset:
    """The test set, in a fixed class-balanced order; ids are positions in the original file.

    References:
        Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms (Xiao, Rasul, Vollgraf, 2017)
        https://github.com/zalandoresearch/fashion-mnist (MIT licence)
    """
    images, labels = _read_pair(Path(__file__).parent / "fashion-mnist", "t10k")
    order = balanced_order(labels)
    return Dataset(name="fashion-mnist", ids=order, images=images[order], labels=labels[order], classes=CLASSES)


def fashion_mnist_training(data_dir: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The 60,000 training images `(N, 1, 28, 28)` uint8 and labels, from `data_dir` or else downloaded there.

    Arguments:
        data_dir: A folder with the four `*-ubyte.gz` files, or torchvision's root folder.
    """
    folder = training_folder(data_dir)
    return _read_pair(folder, "train")


def fashion_mnist_selection(data_dir: Path | None = None) -> Dataset:
    """The held-out training images, class-balanced, for choosing a defense's or an attack's arguments; never for scores."""
    images, labels = fashion_mnist_training(data_dir)
    images, labels = images[-HELD_OUT:], labels[-HELD_OUT:]
    order = balanced_order(labels)
    ids = order + (60_000 - HELD_OUT)
    return Dataset(name="fashion-mnist-selection", ids=ids, images=images[order], labels=labels[order], classes=CLASSES)


def training_folder(data_dir: Path | None) -> Path:
    """Where the training files lie: found in `data_dir` (flat or in torchvision's layout), else downloaded by torchvision."""
    from platformdirs import user_cache_path

    root = data_dir or user_cache_path("purebench")
    for folder in (root, root / "FashionMNIST" / "raw"):
        if (folder / "train-images-idx3-ubyte.gz").exists():
            return folder
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(root, train=True, download=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"expected the Fashion-MNIST training files in {root} or a network to download them from, got: {error}; "
            "pass --data-dir FOLDER with train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz"
        ) from error
    return root / "FashionMNIST" / "raw"


def _read_pair(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    images = np.frombuffer(_read(folder, f"{split}-images-idx3-ubyte"), np.uint8, offset=16)
    labels = np.frombuffer(_read(folder, f"{split}-labels-idx1-ubyte"), np.uint8, offset=8)
    return images.reshape(-1, 1, 28, 28), labels.astype(np.int64)


def _read(folder: Path, name: str) -> bytes:
    path = folder / f"{name}.gz"
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"expected the data file {path}, got: {error}; reinstall purebench or check --data-dir"
        ) from error
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise UserError(
            f"expected {path} to hold sha256 {SHA256[name][:12]}…, got another content; fetch the file again"
        )
    return content
