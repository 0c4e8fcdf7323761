"""The embedded networks are as good as their cards say, and nothing is unpickled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from refused import refused

from bench.data.fashion_mnist import fashion_mnist
from bench.models.embedded import fashion_mnist_at, fashion_mnist_classifier, fashion_mnist_score_model
from bench.models.figures import classifier_figures, score_figures
from bench.models.networks.preconditioning import PreconditionedDenoiser
from bench.models.training.adversarial import Adversary
from bench.models.weights import EMBEDDED, read_card

ROOT = Path(__file__).parent.parent.parent


SOME_OR_ALL = pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
"""The first of the test images, or all of them, which the cards are about."""


@SOME_OR_ALL
def test_the_classifier_is_as_accurate_as_its_card_says(count):
    data, card = fashion_mnist(), read_card(EMBEDDED / "fashion-mnist-classifier.safetensors")
    figures = classifier_figures(data.images[:count], data.labels[:count])(fashion_mnist_classifier())
    near = 2e-4 if count == 10_000 else 0.01
    assert figures["test_accuracy"] == pytest.approx(card["figures"]["test_accuracy"], abs=near)
    assert figures["test_accuracy"] >= 0.91


@SOME_OR_ALL
def test_the_adversarially_trained_classifier_is_as_robust_as_its_card_says(count, monkeypatch):
    """Under attack a fifth of the fewer images."""
    data, card = fashion_mnist(), read_card(EMBEDDED / "fashion-mnist-at.safetensors")
    if count < 10_000:
        monkeypatch.setattr("bench.models.training.adversarial.CARD_IMAGES", 200)
    adversary = Adversary(**card["recipe"]["adversary"])
    figures = classifier_figures(data.images[:count], data.labels[:count], adversary)(fashion_mnist_at())
    near, near_robust, attacked = (2e-4, 2e-3, 1000) if count == 10_000 else (0.02, 0.02, 200)
    assert figures["test_accuracy"] == pytest.approx(card["figures"]["test_accuracy"], abs=near)
    found, said = figures["under_pgd"], card["figures"]["under_pgd"]
    assert said["images"] == 1000
    assert found == said | {"accuracy": pytest.approx(said["accuracy"], abs=near_robust), "images": attacked}
    assert found["threat"] == "linf:20/255"
    assert figures["test_accuracy"] >= 0.8
    assert found["accuracy"] >= 0.7


def test_the_page_says_what_the_card_of_the_adversarially_trained_classifier_says():
    card = read_card(EMBEDDED / "fashion-mnist-at.safetensors")
    figures, pgd = card["figures"], card["figures"]["under_pgd"]
    page = (ROOT / "docs" / "models.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith("| `fashion-mnist-at`, adv")]
    assert f" {card['parameters']:,} " in row
    assert f" {figures['test_accuracy']:.2%} accuracy".replace("%", " %") in row
    assert f"{pgd['accuracy']:.1%} of the first {pgd['images']:,}".replace("%", " %") in row
    assert f"`{pgd['threat']}`" in row


@SOME_OR_ALL
def test_the_score_model_is_as_good_as_its_card_says(count):
    card = read_card(EMBEDDED / "fashion-mnist-score.safetensors")
    figures = score_figures(fashion_mnist().images[:count])(fashion_mnist_score_model())
    assert figures == pytest.approx(card["figures"], rel=1e-3 if count == 10_000 else 0.01)
    assert figures["rmse_at_0.3"] <= 0.087


@pytest.mark.parametrize("load", [fashion_mnist_classifier, fashion_mnist_at, fashion_mnist_score_model])
def test_networks_are_frozen_smooth_and_without_batch_statistics(load):
    kinds = {type(module).__name__ for module in load().modules()}
    assert not kinds & {"BatchNorm2d", "Dropout", "ReLU"}
    assert not any(parameter.requires_grad for parameter in load().parameters())


def test_preconditioning_is_exact_for_gaussian_data():
    """With a network of zeros the denoiser is that of N(mean, spread^2): mean + spread^2 / (spread^2 + sigma^2) (y - mean)."""

    class Zero(torch.nn.Module):
        def forward(self, x, level):
            return torch.zeros_like(x)

    model = PreconditionedDenoiser(Zero(), mean=0.3, spread=0.4, low=0.05, high=1.0)
    y = torch.linspace(-1, 2, 8, dtype=torch.float64).view(2, 1, 2, 2)
    torch.testing.assert_close(model.denoise(y, 0.3), 0.3 + 0.16 / 0.25 * (y - 0.3))
    per_row = model.denoise(y, torch.tensor([0.3, 0.4], dtype=torch.float64))
    torch.testing.assert_close(per_row[1], 0.3 + 0.5 * (y[1] - 0.3))


@pytest.mark.parametrize("sigma", [0.04, 1.1])
def test_noise_levels_that_were_not_trained_are_refused(sigma):
    with refused("score-sigma-range", match=r"\[0\.05, 1\]"):
        fashion_mnist_score_model().denoise(torch.zeros(1, 1, 28, 28), sigma)


def test_nothing_is_unpickled():
    for file in [
        *ROOT.glob("bench/**/*.py"),
        *ROOT.glob("defenses/*.py"),
        *ROOT.glob("attacks/*.py"),
        *ROOT.glob("leaderboards/*.py"),
    ]:
        text = file.read_text()
        assert not re.search(r"^\s*(import|from) (pickle|joblib|dill)", text, re.MULTILINE), file
        assert all("weights_only=True" in call for call in re.findall(r"torch\.load\(.*", text)), file
        assert all("allow_pickle=False" in call for call in re.findall(r"np\.load\(.*", text)), file
