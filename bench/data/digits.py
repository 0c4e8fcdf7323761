"""Handwritten digits, 8 x 8 grey, which scikit-learn contains."""

from __future__ import annotations

import numpy as np

from bench.data.dataset import Dataset, balanced
from bench.registry.extras import missing

TRAINING = 1_000
"""Number of training images, the first ones; the other 797 are the data set."""


def digits() -> Dataset:
    """The last 797 of 1,797 handwritten digits in class-balanced order; ids are positions in the original file.

    Grey levels 0..16 become floats in [0, 1].

    References:
        Methods of Combining Multiple Classifiers and Their Applications to Handwritten Digit Recognition
        (Xu, Krzyzak, Suen, 1992)
        https://archive.ics.uci.edu/dataset/80 (CC BY 4.0)

    Raises:
        UserError: scikit-learn is not installed.
    """
    images, labels = _load()
    return balanced("digits", images[TRAINING:], labels[TRAINING:], tuple("0123456789"), first=TRAINING)


def digits_training() -> tuple[np.ndarray, np.ndarray]:
    """The first 1,000 images `(N, 1, 8, 8)`, rounded to uint8, and labels."""
    images, labels = _load()
    return np.rint(images[:TRAINING] * 255).astype(np.uint8), labels[:TRAINING]


def _load() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise missing("scikit-learn", error) from error
    found = load_digits()
    return (found.images[:, None] / 16).astype(np.float32), found.target.astype(np.int64)
