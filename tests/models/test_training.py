"""Training goes on after a kill as if nothing had happened; weights are what their card says."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from refused import refused

from bench.cli.main import main
from bench.models.figures import classifier_figures
from bench.models.training.adversarial import Adversary, pgd_figures
from bench.models.training.objectives import adversarial_loss, classification_loss, denoising_loss
from bench.models.training.recipe import ADVERSARIAL_CLASSIFIER, CLASSIFIER, SCORE, Recipe
from bench.models.training.training import train
from bench.models.weights import EMBEDDED, build, read_card, read_weights, write_weights

SIZE = 8
LABELS = np.arange(256) % 4
IMAGES = np.zeros((256, 1, SIZE, SIZE), np.uint8)
for row, label in enumerate(LABELS):  # class k is bright in row 2k, at a level that differs from image to image
    IMAGES[row, 0, 2 * label] = 128 + row % 100

ADVERSARY = Adversary(threat="linf:0.1", steps=2)
RECIPES = {
    "classifier": (
        Recipe(
            architecture="small-convnet", arguments={"classes": 4, "size": SIZE}, epochs=2, batch=32, rate=0.02,
            average=0.5,
        ),
        classification_loss,
    ),
    "adversarial": (
        Recipe(
            architecture="small-convnet", arguments={"classes": 4, "size": SIZE, "widths": [8, 8, 16, 8]}, epochs=2,
            batch=32, rate=0.02, average=0.5, adversary=ADVERSARY,
        ),
        adversarial_loss(ADVERSARY),
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
    with refused("checkpoint-other-recipe"):
        fit(tmp_path, **change)


@pytest.mark.parametrize("other", [Adversary(threat="linf:0.2", steps=2), Adversary(threat="linf:0.1"), None])
def test_a_checkpoint_of_another_adversary_is_refused(tmp_path, other):
    fit(tmp_path, "adversarial", epochs=1)
    with refused("checkpoint-other-recipe"):
        fit(tmp_path, "adversarial", epochs=1, adversary=other)


def test_only_the_card_of_an_adversarial_classifier_names_an_adversary(tmp_path):
    recipe = read_card(fit(tmp_path / "adversarial", "adversarial", epochs=1))["recipe"]
    assert recipe["adversary"] == {"threat": "linf:0.1", "steps": 2}
    assert set(read_card(fit(tmp_path / "plain", epochs=1))["recipe"]) == set(recipe) - {"adversary"}


def test_too_few_images(tmp_path):
    with refused("train-too-few-images"):
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


class Linear(torch.nn.Module):
    """Two classes; the second logit minus the first is `w x - 1`."""

    w = torch.linspace(-1, 1.3, 12).view(1, 3, 2, 2)

    def forward(self, x):
        score = (self.w * x).sum(dim=(1, 2, 3)) - 1
        return torch.stack([-score / 2, score / 2], dim=1)


LINEAR_X = torch.rand(40, 3, 2, 2, generator=torch.Generator().manual_seed(3))
LINEAR_Y = (Linear()(LINEAR_X)[:, 1] > 0).long()


@pytest.mark.parametrize("steps", [1, 3])
def test_examples_of_a_linear_model_are_fgsm_wherever_they_start(steps):
    """The loss rises along w for class 0 and against it for class 1, so that the best example is a corner of the ball."""
    found = Adversary(threat="linf:1/10", steps=steps).examples(
        Linear(), LINEAR_X, LINEAR_Y, torch.Generator().manual_seed(0)
    )
    towards = (1 - 2 * LINEAR_Y).view(-1, 1, 1, 1) * Linear.w.sign()
    torch.testing.assert_close(found, (LINEAR_X + 0.1 * towards).clamp(0, 1), rtol=0, atol=1e-6)


def test_examples_lie_in_ball_and_box_and_raise_the_loss(tmp_path):
    model = read_weights(fit(tmp_path, epochs=2, rate=0.002))
    x, y = torch.from_numpy(IMAGES / 255).float(), torch.from_numpy(LABELS)
    state = torch.get_rng_state()
    found = Adversary(threat="linf:8/255").examples(model, x, y, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), state)
    assert not found.requires_grad
    assert (found - x).abs().max() == pytest.approx(8 / 255, abs=1e-6)
    assert found.min() == 0
    assert x.max() - 8 / 255 <= found.max() <= x.max() + 8 / 255
    clean, attacked = (torch.nn.functional.cross_entropy(model(images), y, reduction="none") for images in (x, found))
    assert (attacked > clean).all()


def test_starts_come_from_the_generator():
    def flat(x):
        return 0 * x.flatten(1)

    x, y = torch.full((2, 1, 4, 4), 0.5), torch.zeros(2, dtype=torch.long)
    first, again, other = (
        Adversary(threat="linf:0.1").examples(flat, x, y, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    drawn = 0.5 + 0.1 * (2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) - 1)
    torch.testing.assert_close(other, drawn)


def test_the_model_sees_no_pixel_outside_the_box():
    seen = []

    def watch(x):
        seen.append((x.min().item(), x.max().item()))
        return 0 * x.flatten(1)

    x = torch.linspace(0, 1, 32).round().view(2, 1, 4, 4)
    Adversary(threat="linf:0.1").examples(watch, x, torch.zeros(2, dtype=torch.long), torch.Generator().manual_seed(0))
    assert seen == [(0, 1)] * 5


def test_pgd_figures_of_a_linear_model_are_exact():
    """An image withstands linf eps exactly if its margin exceeds eps * |w|_1, where the box does not bind."""
    images = (64 + 128 * LINEAR_X).round().to(torch.uint8)
    score = (Linear.w * images / 255).sum(dim=(1, 2, 3)) - 1
    labels = (score > 0).long()
    expected = (score.abs() > 0.05 * Linear.w.abs().sum()).float().mean().item()
    assert 0.2 < expected < 0.8
    figures = pgd_figures(Linear(), images.numpy(), labels.numpy(), "linf:0.05")
    assert figures["accuracy"] == pytest.approx(expected)
    assert (figures["threat"], figures["images"]) == ("linf:0.05", 40)
    assert figures["attack"] == "PGD on the margin, 20 steps of 0.1 eps, one random start: an upper bound"


def test_adversarial_training_makes_robust(tmp_path):
    strong = Adversary(threat="linf:0.2")
    figures = classifier_figures(IMAGES, LABELS, strong)

    def trained(adversary, loss):
        recipe = replace(RECIPES["adversarial"][0], adversary=adversary, epochs=8)
        out = tmp_path / ("plain" if adversary is None else "adversarial")
        return read_card(train(recipe, loss, IMAGES, LABELS, out=out, figures=figures))["figures"]

    plain, robust = trained(None, classification_loss), trained(strong, adversarial_loss(strong))
    assert min(plain["test_accuracy"], robust["test_accuracy"]) > 0.9
    assert robust["under_pgd"]["accuracy"] > plain["under_pgd"]["accuracy"] + 0.2


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A data set of one's own in the working folder."""
    monkeypatch.chdir(tmp_path)
    np.savez("own.npz", images=IMAGES[:, 0], labels=LABELS)


OWN = ["train", "classifier", "--dataset", "npz:own.npz", "--epochs", "1", "--quiet", "--out", "own"]


def test_the_command_trains_against_the_threat_that_it_is_given(own, tmp_path, capsys):
    assert main([*OWN, "--adversarial", "--threat", "LINF:0.050"]) == 0
    card = read_card(tmp_path / "own" / "model.safetensors")
    assert card["recipe"]["adversary"] == {"threat": "linf:0.05", "steps": 5}
    assert card["recipe"]["arguments"]["widths"] == ADVERSARIAL_CLASSIFIER.arguments["widths"]
    assert card["figures"]["under_pgd"]["threat"] == "linf:0.05"
    assert card["figures"]["under_pgd"]["images"] == 256 - card["trained_on"]
    assert capsys.readouterr().out == "own/model.safetensors\n"


def test_the_default_threat_is_that_of_the_data_set(tmp_path, monkeypatch):
    seen = []
    images = (np.zeros((3000, 1, 28, 28)), np.zeros(3000))
    monkeypatch.setattr("bench.data.fashion_mnist.fashion_mnist_training", lambda folder: images)
    monkeypatch.setattr(
        "bench.models.training.recipes.train", lambda *given, **options: seen.append(given[:2]) or tmp_path
    )
    assert main(["train", "classifier", "--adversarial", "--out", str(tmp_path)]) == 0
    assert main(["train", "classifier", "--out", str(tmp_path)]) == 0
    (adversarial, its_loss), plain = seen
    assert adversarial == replace(ADVERSARIAL_CLASSIFIER, adversary=Adversary(threat="linf:20/255", steps=5))
    assert its_loss.__qualname__.startswith("adversarial_loss")
    assert plain == (CLASSIFIER, classification_loss)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--threat", "linf:8/255"], "train-adversarial-missing"),
        (["--adversarial"], "train-threat-required"),
        (["--adversarial", "--threat", "l2:0.5"], "train-norm"),
        (["--adversarial", "--threat", "8/255"], "threat-form"),
    ],
)
def test_threats_that_are_refused(own, tmp_path, capsys, words, code):
    assert main([*OWN, *words]) == 2
    assert f"[{code}]" in capsys.readouterr().err
    assert not (tmp_path / "own").exists()


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
    assert torch.equal(again(x), model.to(memory_format=torch.channels_last)(x))
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())
    assert read_card(path)["parameters"] == sum(parameter.numel() for parameter in model.parameters())


def test_a_flipped_byte(weights):
    path = weights[1]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with refused("weights-changed"):
        read_weights(path)


@pytest.mark.parametrize(
    ("suffix", "code"),
    [
        (".safetensors", "weights-unreadable"),
        (
            ".json",
            "weights-card-missing",
        ),
    ],
)
def test_a_missing_file(weights, suffix, code):
    path = weights[1]
    path.with_suffix(suffix).unlink()
    with refused(code):
        read_weights(path)


def test_an_embedded_file_that_is_missing():
    with refused("weights-unreadable"):
        read_weights(EMBEDDED / "absent.safetensors")


def test_a_card_that_is_no_json(weights):
    weights[1].with_suffix(".json").write_text("{")
    with refused("document-damaged"):
        read_weights(weights[1])


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        (
            {"architecture": "huge", "arguments": {}},
            "weights-architecture",
        ),
        (
            {"architecture": "small-convnet", "arguments": {"depth": 3}},
            "weights-arguments",
        ),
        ({"architecture": "small-convnet", "arguments": {}}, "weights-other-architecture"),
    ],
)
def test_a_card_of_another_architecture(weights, recipe, code):
    file = weights[1].with_suffix(".json")
    file.write_text(json.dumps(read_card(file) | {"recipe": recipe}))
    with refused(code):
        read_weights(weights[1])


def test_the_denoising_loss_needs_a_denoiser():
    with pytest.raises(TypeError, match="expected a PreconditionedDenoiser, got Linear"):
        denoising_loss(torch.nn.Linear(1, 1), torch.zeros(1, 1, 8, 8), torch.zeros(1), torch.Generator())


def test_the_recipes_build_their_networks():
    x = torch.zeros(2, 1, 28, 28)
    assert build(CLASSIFIER.architecture, CLASSIFIER.arguments)(x).shape == (2, 10)
    assert build(ADVERSARIAL_CLASSIFIER.architecture, ADVERSARIAL_CLASSIFIER.arguments)(x).shape == (2, 10)
    assert build(SCORE.architecture, SCORE.arguments).denoise(x, 0.1).shape == x.shape
