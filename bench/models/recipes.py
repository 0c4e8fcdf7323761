"""What `bench train` does: a data set and a recipe to weights and a card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.data.fashion_mnist import HELD_OUT, fashion_mnist, fashion_mnist_training
from bench.device import pick_device
from bench.errors import UserError
from bench.models.adversarial import Adversary
from bench.models.training import (
    ADVERSARIAL_CLASSIFIER,
    CLASSIFIER,
    SCORE,
    Recipe,
    adversarial_loss,
    classification_loss,
    classifier_figures,
    denoising_loss,
    score_figures,
    train,
)
from bench.registry import Registry
from bench.threat import ThreatModel

Arrays = tuple[np.ndarray, np.ndarray]


def train_network(
    kind: str,
    *,
    out: Path,
    dataset: str,
    data_dir: Path | None,
    epochs: int | None,
    seed: int,
    device: str,
    registry: Registry,
    report: Callable[[str], None],
    adversarial: bool = False,
    threat: ThreatModel | None = None,
) -> Path:
    """Trains a `classifier` or a `score` model and returns the path of its weights.

    Arguments:
        kind: `classifier` or `score`.
        out: Folder for checkpoint, weights and card.
        dataset: `fashion-mnist` trains on its training images without the held-out ones and is judged on its test images;
            any other data set keeps one image in ten of each class to be judged on.
        data_dir: Where the training images lie.
        epochs: Passes over the images; None for the recipe's.
        seed: Seed of weights, order, augmentation and noise.
        device: Where to train, as `bench run --device` takes it.
        registry: Where the data set's name is looked up.
        report: Receives one line per epoch.
        adversarial: Whether a classifier is trained on adversarial examples.
        threat: Their ball, `linf`; None for the data set's default.

    Raises:
        UserError: The data cannot be had or do not fit the architecture, or the threat is not one to train against.
    """
    if epochs is not None and epochs < 1:
        raise UserError(f"expected --epochs of at least 1, got {epochs}; leave it out for the recipe's")
    recipe = _recipe(kind, _adversary(adversarial, threat, dataset, registry))
    recipe = replace(recipe, seed=seed, epochs=epochs or recipe.epochs)
    (images, labels), (test_images, test_labels), classes = _split(dataset, data_dir, registry)
    if dataset != "fashion-mnist":
        recipe = replace(recipe, arguments={**recipe.arguments, **_fitted(kind, images, classes)})
    loss, figures = (
        (
            adversarial_loss(recipe.adversary) if recipe.adversary else classification_loss,
            classifier_figures(test_images, test_labels, recipe.adversary),
        )
        if kind == "classifier"
        else (denoising_loss, score_figures(test_images))
    )
    return train(recipe, loss, images, labels, out=out, figures=figures, device=pick_device(device), report=report)


def _recipe(kind: str, adversary: Adversary | None) -> Recipe:
    if adversary:
        return replace(ADVERSARIAL_CLASSIFIER, adversary=adversary)
    return CLASSIFIER if kind == "classifier" else SCORE


def _adversary(adversarial: bool, threat: ThreatModel | None, dataset: str, registry: Registry) -> Adversary | None:
    if not adversarial:
        if threat is not None:
            raise UserError(
                f"expected --adversarial with --threat, got --threat {threat} alone; add it or drop --threat"
            )
        return None
    boards = registry.find("datasets", dataset).entry.threats
    if threat is None and not boards:
        raise UserError(
            f"expected --threat for the data set {dataset}, got none; write for example --threat linf:8/255"
        )
    return Adversary(threat=str(threat or boards[0]))


def _split(dataset: str, data_dir: Path | None, registry: Registry) -> tuple[Arrays, Arrays, int]:
    if dataset == "fashion-mnist":
        images, labels = fashion_mnist_training(data_dir)
        test = fashion_mnist()
        return (images[:-HELD_OUT], labels[:-HELD_OUT]), (test.images, test.labels), len(test.classes)
    found = registry.find("datasets", dataset)
    data = found.load()(**found.entry.args)
    images = np.rint(data.floats(slice(None)) * 255).astype(np.uint8)
    held = (
        np.arange(len(data)) // len(data.classes) % 10 == 9
    )  # classes take turns in the order: whole rounds are held out
    held[-1] = True
    return (images[~held], data.labels[~held]), (images[held], data.labels[held]), len(data.classes)


def _fitted(kind: str, images: np.ndarray, classes: int) -> dict[str, float | int]:
    """The arguments of an architecture that the data decide."""
    _, channels, height, width = images.shape
    if height != width or height % 4:
        raise UserError(
            f"expected square images with a side that is a multiple of 4, got {height} x {width}; crop or pad them"
        )
    scale = {
        "mean": round(float(images.mean() / 255), 4),
        "spread": round(float(images.std() / 255), 4),
        "channels": channels,
    }
    return scale | ({"classes": classes, "size": height} if kind == "classifier" else {})
