"""Data sets. This table is the only place that names them.

The first n images of a data set are the same for everyone: classes take turns, and within a class the order of the
original files is kept (`bench.data.dataset.balanced_order`).
"""

from bench.registry.entry import Entry

_FASHION = {"classifier": "fashion-mnist-cnn", "score_model": "fashion-mnist-unet"}
_BOARDS = ("linf:20/255", "linf:16/255", "linf:8/255", "l2:1.5")

TABLE = {
    "fashion-mnist": Entry(
        "bench.data.fashion_mnist:fashion_mnist",
        "10,000 test images of clothing, 28 x 28 grey, 10 classes; inside the package.",
        defaults=_FASHION,
        threats=_BOARDS,
        training="bench.data.fashion_mnist:fashion_mnist_recipe",
    ),
    "fashion-mnist-selection": Entry(
        "bench.data.fashion_mnist:fashion_mnist_selection",
        "2,000 held-out training images for choosing arguments; not for scores. Downloads, or reads --data-dir.",
        defaults=_FASHION,
        threats=_BOARDS,
        training="bench.data.fashion_mnist:fashion_mnist_recipe",
    ),
    "cifar10": Entry(
        "bench.data.cifar:cifar10",
        "10,000 test images, 32 x 32 in colour, 10 classes. Downloads 170 MB, or reads --data-dir.",
        defaults={"classifier": "robustbench:Standard", "score_model": "diffusers:google/ddpm-cifar10-32"},
        threats=("linf:8/255", "l2:0.5"),
        training="bench.data.cifar:cifar10_training",
    ),
    "cifar10-jpeg": Entry(
        "bench.data.cifar_jpeg:cifar10_jpeg",
        "CIFAR-10's 10,000 test images as JPEGs of quality 75, whose pixels are not the official ones; from --data-dir.",
        threats=("linf:8/255", "l2:0.5"),
        training="bench.data.cifar_jpeg:cifar10_jpeg_training",
    ),
    "cifar100": Entry(
        "bench.data.cifar:cifar100",
        "10,000 test images, 32 x 32 in colour, 100 classes. Downloads 169 MB, or reads --data-dir.",
        threats=("linf:8/255", "l2:0.5"),
        training="bench.data.cifar:cifar100_training",
    ),
    "imagenet": Entry(
        "bench.data.imagenet:imagenet",
        "RobustBench's 5,000 validation images, 224 x 224 in colour, 1,000 classes; from --data-dir.",
        defaults={"classifier": "robustbench:Standard_R50"},
        threats=("linf:4/255", "l2:0.5"),
        training="bench.data.imagenet:imagenet_training",
    ),
    "imagenet-bicubic": Entry(
        "bench.data.imagenet:imagenet",
        "The same, resized as many of RobustBench's newer models want them.",
        {"preprocessing": "BicubicRes256Crop224"},
        threats=("linf:4/255", "l2:0.5"),
        training="bench.data.imagenet:imagenet_training",
    ),
    "mnist": Entry(
        "bench.data.mnist:mnist",
        "10,000 test images of handwritten digits, 28 x 28 grey. Downloads 2 MB, or reads --data-dir.",
        threats=("linf:0.3", "l2:2"),
        training="bench.data.mnist:mnist_training",
    ),
    "digits": Entry(
        "bench.data.digits:digits",
        "797 handwritten digits, 8 x 8 grey; inside scikit-learn.",
        threats=("linf:0.15",),
        training="bench.data.digits:digits_training",
        package="scikit-learn",
    ),
    "npz": Entry("bench.data.arrays:npz", "A file with the arrays images and labels.", parameter="path"),
    "folder": Entry("bench.data.folders:folder", "A folder of images, one folder a class.", parameter="path"),
}
