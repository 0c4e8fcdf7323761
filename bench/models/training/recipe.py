"""Training recipes: those of the embedded weights and of `bench train`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from bench.models.training.adversarial import Adversary
from bench.models.training.augmentation import Augmentation


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training recipe: AdamW, a cosine schedule with warm-up, gradient clipping, averaged weights.

    Arguments:
        architecture: A name in `bench.models.weights.ARCHITECTURES`.
        arguments: The architecture's arguments.
        epochs: Passes over the training images.
        batch: Images per step.
        rate: Largest learning rate.
        decay: Weight decay.
        average: Decay of the exponential average of the weights, which is the result.
        seed: Seed of the initial weights, the order and the noise.
        adversary: Makes the training images of an adversarially trained classifier; None for plain training.
        augmentation: Changes training images at random before the loss; None for none.
        levels: Mean and standard deviation of the logarithm of the noise level of a score model; None for those of
            `denoising_loss`.
        precision: `bfloat16` for autocast on the CPU too; None for float32 there.
        storage: `float16` for weights that are rounded to it and stored in it; they are loaded as float32.
    """

    architecture: str
    arguments: dict
    epochs: int
    batch: int = 128
    rate: float = 2e-3
    decay: float = 1e-4
    average: float = 0.999
    seed: int = 0
    adversary: Adversary | None = None
    augmentation: Augmentation | None = None
    levels: tuple[float, float] | None = None
    precision: str | None = None
    storage: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The recipe as in cards and checkpoints, without the entries that are None."""
        return {key: value for key, value in asdict(self).items() if value is not None}


CLASSIFIER = Recipe(architecture="small-convnet", arguments={}, epochs=8)
ADVERSARIAL_CLASSIFIER = Recipe(architecture="small-convnet", arguments={"widths": [16, 32, 32, 32]}, epochs=12)
SCORE = Recipe(
    architecture="small-unet",
    arguments={"widths": [16, 64], "blocks": [1, 2], "mean": 0.286, "spread": 0.353, "low": 0.05, "high": 1.0},
    epochs=64,
)
DIFFUSERS_SCORE = Recipe(
    architecture="diffusers-unet",
    arguments={
        "block_out_channels": [32, 64, 64],
        "down_block_types": ["DownBlock2D", "DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
        "layers_per_block": 1,
        "norm_num_groups": 8,
    },
    epochs=64,
    rate=1e-3,
)


class Recipes(NamedTuple):
    """The recipes for a data set."""

    classifier: Recipe
    adversarial: Recipe
    score: Recipe


GENERAL = Recipes(CLASSIFIER, ADVERSARIAL_CLASSIFIER, SCORE)
"""The recipes of Fashion-MNIST, and of all data sets without their own."""
NATURAL = Recipes(
    classifier=Recipe(
        architecture="small-resnet",
        arguments={"widths": [32, 64, 128, 128], "blocks": 1},
        epochs=40,
        decay=0.05,
        augmentation=Augmentation(shift=4),
        precision="bfloat16",
        storage="float16",
    ),
    adversarial=Recipe(
        architecture="small-resnet",
        arguments={"widths": [32, 64, 128, 128], "blocks": 1},
        epochs=40,
        decay=0.05,
        adversary=Adversary(threat="linf:8/255", steps=3),
        augmentation=Augmentation(shift=4),
        precision="bfloat16",
        storage="float16",
    ),
    score=Recipe(
        architecture="small-unet",
        arguments={"widths": [48, 160], "blocks": [2, 4], "low": 0.02, "high": 1.0},
        epochs=80,
        rate=1e-3,
        augmentation=Augmentation(flip=True),
        levels=(-1.9, 1.2),
        precision="bfloat16",
        storage="float16",
    ),
)
"""Natural images, 32 x 32 in colour."""
BY_DATASET = {"cifar10-jpeg": NATURAL}
