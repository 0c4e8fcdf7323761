"""Training goes on after a kill as if nothing had happened; weights are what their card says."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.models.training import (
    CLASSIFIER,
    SCORE,
    Recipe,
    classification_loss,
    classifier_figures,
    denoising_loss,
    train,
)
from bench.models.weights import build, read_card, read_weights, write_weights

SIZE = 8
LABELS = np.arange(256) % 4
IMAGES = np.zeros((256, 1, SIZE, SIZE), np.uint8)
for row, label in enumerate(LABELS):  # class k is bright in row 2k, at a level that differs from image to image
    IMAGES[row, 0, 2 * label] = 128 + row % 100

RECIPES = {
    "classifier": (
        Recipe(
            architecture="small-convnet", arguments={"classes": 4, "size": SIZE}, epochs=2, batch=32, rate=0.02,
            average=0.5,
        ),
        classification_loss,
    ),
    "score": (
        Recipe(
            architecture="small-unet",
            arguments={"widths": [8, 8], "blocks": [1, 1], "mean": 0.1, "spread": 0.2, "low": 0.05, "high": 1.0},
            epochs=2, batch=32, rate=0.02,
        ),
        denoising_loss,
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fit(out, kind="classifier", report=lambda line: None, images=IMAGES, **changes):
    recipe, loss = RECIPES[kind]
    return train(
        replace(recipe, **changes),
        loss,
        images,
        LABELS[: len(images)],
        out=out,
        figures=lambda model: {},
        report=report,
    )


@pytest.mark.parametrize("kind", RECIPES)
def test_a_resumed_training_ends_with_the_same_bits(tmp_path, kind):
    def kill(line):
        raise KeyboardInterrupt(line)

    whole = fit(tmp_path / "whole", kind)
    with pytest.raises(KeyboardInterrupt, match=r"epoch 1/2  loss \d"):
        fit(tmp_path / "parts", kind, report=kill)
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    reports = []
    parts = fit(tmp_path / "parts", kind, report=reports.append)
    assert [line.split("  ")[0] for line in reports] == ["epoch 2/2"]
    assert parts.read_bytes() == whole.read_bytes()
    assert read_card(parts) == read_card(whole)


def test_another_seed_gives_other_weights(tmp_path):
    assert fit(tmp_path / "0").read_bytes() != fit(tmp_path / "1", seed=1).read_bytes()


@pytest.mark.parametrize("change", [{"seed": 1}, {"epochs": 3}, {"rate": 0.01}])
def test_a_checkpoint_of_another_recipe_is_refused(tmp_path, change):
    fit(tmp_path)
    with pytest.raises(
        UserError, match=r"checkpoint of the same recipe, seed and epochs in .*checkpoint\.pt, got one of"
    ):
        fit(tmp_path, **change)


def test_too_few_images(tmp_path):
    with pytest.raises(UserError, match="expected at least 32 training images, one batch of the recipe, got 31; add"):
        fit(tmp_path, images=IMAGES[:31])


@pytest.mark.parametrize("kind", RECIPES)
def test_the_loss_falls_and_the_card_says_so(tmp_path, kind):
    card = read_card(fit(tmp_path, kind, epochs=4))
    assert len(card["curve"]) == 4
    assert card["curve"][-1] < 0.8 * card["curve"][0]
    assert (card["trained_on"], card["recipe"]["epochs"]) == (256, 4)


def test_figures_are_of_the_finished_model(tmp_path):
    recipe, loss = RECIPES["classifier"]
    figures = classifier_figures(IMAGES, LABELS)
    path = train(replace(recipe, epochs=6), loss, IMAGES, LABELS, out=tmp_path, figures=figures)
    accuracy = read_card(path)["figures"]["test_accuracy"]
    assert accuracy == figures(read_weights(path))["test_accuracy"]
    assert accuracy > 0.9


@pytest.fixture
def weights(tmp_path):
    """Untrained weights on disk."""
    model = build("small-convnet", {"classes": 4, "size": SIZE})
    card = {"recipe": {"architecture": "small-convnet", "arguments": {"classes": 4, "size": SIZE}}}
    return model, write_weights(model, tmp_path / "model.safetensors", card)


def test_round_trip(weights):
    model, path = weights
    x = torch.from_numpy(IMAGES[:5] / 255).float()
    again = read_weights(path)
    assert torch.equal(again(x), model(x))
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())
    assert read_card(path)["parameters"] == sum(parameter.numel() for parameter in model.parameters())


def test_a_flipped_byte(weights):
    path = weights[1]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"expected .*model\.safetensors with sha256 .*, got another content; the weights"
    ):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_missing_file(weights, suffix):
    path = weights[1]
    path.with_suffix(suffix).unlink()
    with pytest.raises(UserError, match=rf"expected the weights file .*model\{suffix}, got: No such file"):
        read_weights(path)


def test_a_card_that_is_no_json(weights):
    weights[1].with_suffix(".json").write_text("{")
    with pytest.raises(UserError, match="expected a JSON card beside"):
        read_weights(weights[1])


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        (
            {"architecture": "huge", "arguments": {}},
            "expected an architecture among small-convnet, small-unet, got 'huge'",
        ),
        (
            {"architecture": "small-convnet", "arguments": {"depth": 3}},
            r"expected arguments of small-convnet, got \{'depth'",
        ),
        ({"architecture": "small-convnet", "arguments": {}}, "expected weights of small-convnet in .*, got others"),
    ],
)
def test_a_card_of_another_architecture(weights, recipe, sentence):
    file = weights[1].with_suffix(".json")
    file.write_text(json.dumps(read_card(file) | {"recipe": recipe}))
    with pytest.raises(UserError, match=sentence):
        read_weights(weights[1])


def test_the_denoising_loss_needs_a_denoiser():
    with pytest.raises(TypeError, match="expected a PreconditionedDenoiser, got Linear"):
        denoising_loss(torch.nn.Linear(1, 1), torch.zeros(1, 1, 8, 8), torch.zeros(1), torch.Generator())


def test_the_recipes_build_their_networks():
    x = torch.zeros(2, 1, 28, 28)
    assert build(CLASSIFIER.architecture, CLASSIFIER.arguments)(x).shape == (2, 10)
    assert build(SCORE.architecture, SCORE.arguments).denoise(x, 0.1).shape == x.shape
