"""Trains a network for `bench train`: from a data set and a recipe to weights and a card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.machine.device import pick_device
from bench.models.figures import classifier_figures, score_figures
from bench.models.hub import save_score_model
from bench.models.training.adversarial import Adversary
from bench.models.training.objectives import Loss, adversarial_loss, classification_loss, denoising_loss, noise_loss
from bench.models.training.recipe import BY_DATASET, DIFFUSERS_SCORE, GENERAL, Recipe
from bench.models.training.training import Figures, train
from bench.models.weights import write_model
from bench.registry.arguments import takes
from bench.registry.registry import Registry
from bench.threat import ThreatModel

Arrays = tuple[np.ndarray, np.ndarray]
FIGURE_IMAGES = 1_000
"""Test images for the figures of a larger score model, which are computed on the CPU."""
FORMATS = ("weights", "diffusers")


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
    form: str = "weights",
) -> Path:
    """Trains a `classifier` or a `score` model and returns the path of its weights.

    Arguments:
        kind: `classifier` or `score`.
        out: Folder for checkpoint, weights and card.
        dataset: Name of the data set. One with training images is evaluated on its test images; from any other, one image in
            ten of each class is held out.
        data_dir: Folder of the images.
        epochs: Passes over the images; None for the recipe's.
        seed: Seed of weights, order, augmentation and noise.
        device: The device, as for `bench run --device`.
        registry: Maps the data set's name to its factory.
        report: Receives one line per epoch.
        adversarial: Whether a classifier is trained on adversarial examples.
        threat: Their ball, `linf`; None for the data set's default.
        form: Format of a score model: `weights`, or `diffusers` for a `UNet2DModel` in that library's format.

    Raises:
        UserError: The data are missing or do not fit the architecture, or the threat cannot be trained against.
    """
    _check(epochs, form)
    recipe = _recipe(kind, _adversary(adversarial, threat, dataset, registry), form, dataset)
    recipe = replace(recipe, seed=seed, epochs=epochs or recipe.epochs)
    (images, labels), (test_images, test_labels), classes = _split(dataset, data_dir, registry)
    if dataset != "fashion-mnist" or form == "diffusers":
        recipe = replace(recipe, arguments={**recipe.arguments, **_fitted(recipe.architecture, images, classes)})
    loss, figures = _objective(kind, form, recipe, images, test_images, test_labels)
    save = save_score_model if form == "diffusers" else write_model
    fit = partial(train, recipe, loss, images, labels, out=out, figures=figures)
    return fit(dataset=dataset, device=pick_device(device), report=report, save=save)


def _check(epochs: int | None, form: str) -> None:
    if epochs is not None and epochs < 1:
        raise UserError("train-epochs", epochs=epochs)
    if form not in FORMATS:
        raise UserError("train-format", formats=" or ".join(FORMATS), format=form)


def _objective(
    kind: str, form: str, recipe: Recipe, images: np.ndarray, test_images: np.ndarray, test_labels: np.ndarray
) -> tuple[Loss, Figures]:
    """The loss to minimise, and the figures of the trained network."""
    if kind == "classifier":
        loss = adversarial_loss(recipe.adversary) if recipe.adversary else classification_loss
        return loss, classifier_figures(test_images, test_labels, recipe.adversary)
    if form == "diffusers":
        return noise_loss, score_figures(test_images[:FIGURE_IMAGES])
    loss = partial(denoising_loss, levels=recipe.levels) if recipe.levels else denoising_loss
    return loss, score_figures(test_images, images)


def _recipe(kind: str, adversary: Adversary | None, form: str, dataset: str) -> Recipe:
    recipes = BY_DATASET.get(dataset, GENERAL)
    if adversary:
        steps = (recipes.adversarial.adversary or adversary).steps
        return replace(recipes.adversarial, adversary=replace(adversary, steps=steps))
    if kind == "classifier":
        return recipes.classifier
    return DIFFUSERS_SCORE if form == "diffusers" else recipes.score


def _adversary(adversarial: bool, threat: ThreatModel | None, dataset: str, registry: Registry) -> Adversary | None:
    if not adversarial:
        if threat is not None:
            raise UserError("train-adversarial-missing", threat=threat)
        return None
    boards = registry.find("datasets", dataset).entry.threats
    if threat is None and not boards:
        raise UserError("train-threat-required", dataset=dataset)
    return Adversary(threat=str(threat or boards[0]))


def _split(dataset: str, data_dir: Path | None, registry: Registry) -> tuple[Arrays, Arrays, int]:
    found = registry.find("datasets", dataset)
    training, part = found.load_training(), found.load()
    if training is not None:
        own = training(**_folder_for(training, data_dir))  # first, since it raises if there is nothing to train on
        test = part(**_folder_for(part, data_dir), **found.entry.args)
        return own, (_levels(test), test.labels), len(test.classes)
    given = part(**_folder_for(part, data_dir), **found.entry.args)
    held = np.arange(len(given)) // len(given.classes) % 10 == 9  # classes take turns: whole rounds are held out
    held[-1] = True
    images = _levels(given)
    return (images[~held], given.labels[~held]), (images[held], given.labels[held]), len(given.classes)


def _folder_for(function: Callable[..., object], data_dir: Path | None) -> dict[str, Path | None]:
    return {"data_dir": data_dir} if takes(function, "data_dir") else {}


def _levels(data: Dataset) -> np.ndarray:
    """All images as uint8 levels."""
    return data.images if data.images.dtype == np.uint8 else np.rint(data.floats(slice(None)) * 255).astype(np.uint8)


def _fitted(architecture: str, images: np.ndarray, classes: int) -> dict[str, float | int]:
    """The arguments of an architecture that depend on the data."""
    _, channels, height, width = images.shape
    if height != width or height % 4:
        raise UserError("train-image-size", height=height, width=width)
    if architecture == "diffusers-unet":
        return {"sample_size": height, "in_channels": channels, "out_channels": channels}
    scale = {
        "mean": round(float(images.mean() / 255), 4),
        "spread": round(float(images.std() / 255), 4),
        "channels": channels,
    }
    sizes = {"small-convnet": {"classes": classes, "size": height}, "small-resnet": {"classes": classes}}
    return scale | sizes.get(architecture, {})
