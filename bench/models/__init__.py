"""Classifiers and score models. These tables are the only place that names them."""

from bench.registry import Entry

CLASSIFIERS = {
    "fashion-mnist-cnn": Entry(
        "bench.models.embedded:fashion_mnist_classifier", "Four convolutions, 28 x 28 grey; inside the package."
    ),
    "fashion-mnist-at": Entry(
        "bench.models.embedded:fashion_mnist_at",
        "Four narrower convolutions, adversarially trained at linf:20/255; inside the package.",
    ),
    "weights": Entry(
        "bench.models.embedded:weights",
        "A .safetensors file with its card, as bench train writes it.",
        parameter="path",
    ),
}
SCORE_MODELS = {
    "fashion-mnist-unet": Entry(
        "bench.models.embedded:fashion_mnist_score_model", "A small U-Net for sigma in [0.05, 1]; inside the package."
    ),
    "weights": Entry(
        "bench.models.embedded:weights",
        "A .safetensors file with its card, as bench train writes it.",
        parameter="path",
    ),
}
