"""Built-in classifiers and score models; only these tables name them."""

from bench.registry.entry import Entry

CLASSIFIERS = {
    "fashion-mnist-cnn": Entry(
        "bench.models.embedded:fashion_mnist_classifier", "Four convolutions, 28 x 28 grey; inside the package."
    ),
    "fashion-mnist-at": Entry(
        "bench.models.embedded:fashion_mnist_at",
        "Four narrower convolutions, adversarially trained at linf:20/255; inside the package.",
    ),
    "autoattack-resnet18": Entry(
        "bench.models.networks.resnet18:autoattack_resnet18",
        "A ResNet-18 for CIFAR-10, not robust by itself; inside the package pyautoattack.",
        package="pyautoattack",
    ),
    "robustbench": Entry(
        "bench.models.robustbench:robustbench",
        "A model of RobustBench's zoo by its name, or as DATASET/THREAT/NAME.",
        parameter="name",
        members="bench.models.zoo:SUMMARIES",
        package="robustbench",
    ),
    "torchvision": Entry(
        "bench.models.torchvision:torchvision",
        "An ImageNet classifier of torchvision, such as resnet50.",
        parameter="name",
        package="torchvision",
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
    "diffusers": Entry(
        "bench.models.hub:hub_score_model",
        "An unconditional UNet2DModel of diffusers (DDPM, EDM, flow, VE): a folder, or a repository such as google/ddpm-cifar10-32.",
        parameter="place",
        package="diffusers",
    ),
    "weights": Entry(
        "bench.models.embedded:weights",
        "A .safetensors file with its card, as bench train writes it.",
        parameter="path",
    ),
}
