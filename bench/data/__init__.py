"""Data sets. This table is the only place that names them."""

from bench.registry import Entry

_FASHION = {"classifier": "fashion-mnist-cnn", "score_model": "fashion-mnist-unet"}
_BOARDS = ("linf:20/255", "linf:16/255", "linf:8/255", "l2:1.5")

TABLE = {
    "fashion-mnist": Entry(
        "bench.data.fashion_mnist:fashion_mnist",
        "10,000 test images of clothing, 28 x 28 grey, 10 classes; inside the package.",
        defaults=_FASHION,
        threats=_BOARDS,
    ),
    "fashion-mnist-selection": Entry(
        "bench.data.fashion_mnist:fashion_mnist_selection",
        "2,000 held-out training images for choosing arguments; not for scores. Downloads, or reads --data-dir.",
        defaults=_FASHION,
        threats=_BOARDS,
    ),
    "npz": Entry("bench.data.arrays:npz", "A file with the arrays images and labels.", parameter="path"),
    "folder": Entry("bench.data.arrays:folder", "A folder of images, one folder a class.", parameter="path"),
}
