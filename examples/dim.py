"""An example data set: a function that returns ids, images, labels and class names, in a fixed order."""

import numpy as np

from bench.data.dataset import Dataset, balanced_order
from bench.data.fashion_mnist import fashion_mnist


def dim(*, share: float = 0.5) -> Dataset:
    """Fashion-MNIST with every pixel darkened by the same factor."""
    bright = fashion_mnist()
    images = np.rint(share * bright.images).astype(np.uint8)  # uint8, or floats in [0, 1]; (N, C, H, W)
    order = balanced_order(bright.labels)  # classes alternate, so that the first n images are balanced
    return Dataset(
        name=f"fashion-mnist-dim-{share:g}",
        ids=bright.ids[order],  # unique and never changed: they key the random draws
        images=images[order],
        labels=bright.labels[order],
        classes=bright.classes,
    )


if __name__ == "__main__":
    data = dim()
    print(len(data), data.images.shape, data.sha256)
