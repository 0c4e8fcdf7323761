"""The recipes of natural images: their augmentation, network, storage, noise levels, figures, and resumption inside an epoch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from jpeg_images import checksums, grey_files, zipped

import bench.data.cifar_jpeg
import bench.models.figures
import bench.models.training.training as training
from bench.cli.main import main
from bench.models.figures import score_figures
from bench.models.networks.preconditioning import PreconditionedDenoiser
from bench.models.networks.resnet import SmallResNet
from bench.models.training.adversarial import Adversary
from bench.models.training.augmentation import Augmentation
from bench.models.training.objectives import adversarial_loss, classification_loss, denoising_loss
from bench.models.training.recipe import NATURAL
from bench.models.weights import read_card, read_weights

LABELS = np.arange(96) % 4
IMAGES = np.zeros((96, 3, 8, 8), np.uint8)
for row, label in enumerate(LABELS):  # class k is bright in row 2k, at a level that differs from image to image
    IMAGES[row, :, 2 * label] = 128 + row % 100
CLASSIFIER = replace(
    NATURAL.classifier, arguments={"widths": [8, 16], "classes": 4}, epochs=2, batch=32, rate=0.01,
    augmentation=Augmentation(shift=1),
)  # fmt: skip
ADVERSARY = Adversary(threat="linf:0.1", steps=2)
RECIPES = {
    "classifier": (CLASSIFIER, classification_loss),
    "adversarial": (replace(CLASSIFIER, adversary=ADVERSARY), adversarial_loss(ADVERSARY)),
    "score": (
        replace(
            NATURAL.score, epochs=2, batch=32,
            arguments={"channels": 3, "widths": [8, 8], "blocks": [1, 1], "mean": 0.1, "spread": 0.2, "low": 0.02, "high": 1.0},
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


def fit(out, kind, *, stop=0, figures=lambda model: {}, **changes):
    """Trains; `stop` interrupts the given step."""
    recipe, loss = RECIPES[kind]
    calls = []

    def watched(*given):
        calls.append(given)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return loss(*given)

    path = training.train(replace(recipe, **changes), watched, IMAGES, LABELS, out=out, figures=figures)
    return path, len(calls)


@pytest.mark.parametrize("stop", [2, 3, 5])
@pytest.mark.parametrize("kind", RECIPES)
def test_a_training_killed_inside_an_epoch_ends_with_the_same_bits(tmp_path, monkeypatch, kind, stop):
    whole, steps = fit(tmp_path / "whole", kind)
    monkeypatch.setattr(training, "SAVED_EVERY", -1)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "parts", kind, stop=stop)
    parts, rest = fit(tmp_path / "parts", kind)
    assert (steps, rest) == (6, 6 - (stop - 1))
    assert parts.read_bytes() == whole.read_bytes()
    assert read_card(parts) == read_card(whole)


def test_shifts_are_windows_of_the_reflected_image():
    x = torch.arange(25.0).view(1, 1, 5, 5).repeat(400, 3, 1, 1)
    padded = np.pad(x[0, 0].numpy(), 2, mode="reflect")
    windows = {padded[a : a + 5, b : b + 5].tobytes() for a in range(5) for b in range(5)}
    found = Augmentation(shift=2)(x, torch.Generator().manual_seed(0))
    assert {image[0].numpy().tobytes() for image in found} == windows
    assert torch.equal(found[:, 0], found[:, 2])


def test_half_of_the_images_are_mirrored():
    x = torch.rand(400, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    found = Augmentation(flip=True)(x, torch.Generator().manual_seed(1))
    kept, mirrored = ((found == image).flatten(1).all(dim=1) for image in (x, x.flip(3)))
    assert (kept ^ mirrored).all()
    assert 160 < kept.sum() < 240
    assert torch.equal(Augmentation()(x, torch.Generator()), x)


def test_the_residual_network_treats_rows_alone_and_has_derivatives():
    network = SmallResNet(
        classes=3, widths=(8, 16)
    ).double()  # in train mode, in which batch statistics would couple rows
    x = torch.rand(2, 3, 6, 6, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()
    torch.testing.assert_close(network(x)[1:], network(x[1:]))
    assert torch.autograd.gradcheck(network, x[:1])
    assert torch.autograd.gradgradcheck(lambda part: network(part).sum(), x[:1, :, :3, :3])


def test_weights_are_stored_in_half_precision_and_judged_as_stored(tmp_path):
    def figures(model):
        return {"logits": model(torch.from_numpy(IMAGES / 255).float()).double().sum().item()}

    half, _ = fit(tmp_path / "half", "classifier", figures=figures)
    whole, _ = fit(tmp_path / "whole", "classifier", storage=None)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    network, reference = read_weights(half), read_weights(whole)
    for stored, exact in zip(network.parameters(), reference.parameters(), strict=True):
        assert stored.dtype == torch.float32
        assert torch.equal(stored, exact.half().float())
    assert read_card(half)["recipe"]["storage"] == "float16"
    assert read_card(half)["figures"]["logits"] == pytest.approx(figures(network)["logits"], rel=1e-6)
    assert read_card(half)["figures"]["logits"] != pytest.approx(figures(reference)["logits"], rel=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", None])
def test_only_a_recipe_in_bfloat16_computes_in_it(tmp_path, precision):
    seen = []

    def loss(model, x, y, generator):
        seen.append(model(x).dtype)
        return classification_loss(model, x, y, generator)

    recipe = replace(CLASSIFIER, epochs=1, precision=precision)
    training.train(recipe, loss, IMAGES, LABELS, out=tmp_path, figures=lambda model: {})
    assert seen == [torch.bfloat16 if precision else torch.float32] * 3


def test_noise_levels_are_log_normal():
    seen = []

    class Watch(PreconditionedDenoiser):
        def forward(self, y, sigma):
            seen.append(sigma.log())
            return y

    watch = Watch(torch.nn.Identity(), mean=0.5, spread=0.2, low=1e-9, high=1e9)
    x = torch.zeros(20_000, 1, 1, 1)
    denoising_loss(watch, x, x, torch.Generator().manual_seed(0), levels=(-1.9, 1.2))
    denoising_loss(watch, x, x, torch.Generator().manual_seed(0))
    means, widths = zip(*((level.mean().item(), level.std().item()) for level in seen), strict=True)
    assert means == pytest.approx((-1.9, -1.4), abs=0.03)
    assert widths == pytest.approx((1.2, 0.9), abs=0.02)


def test_the_gaussian_error_is_that_of_the_matrix_formula():
    mixing = np.random.Generator(np.random.Philox(key=1)).normal(size=(24, 300, 8))
    images = (128 + 12 * mixing.sum(axis=0) @ mixing[0, :8]).clip(0, 255).astype(np.uint8).reshape(300, 2, 2, 2)
    own, test = images[:200].reshape(200, -1) / 255, images[200:].reshape(100, -1) / 255
    mean, covariance = own.mean(axis=0), np.cov(own.T, bias=True)

    class Zero(torch.nn.Module):
        low = 0.02

        def denoise(self, y, sigma):
            return torch.zeros(y.shape)

    figures = score_figures(images[200:], images[:200])(Zero())
    assert figures["rmse_at_0.02"] == pytest.approx(np.sqrt((test**2).mean()))
    for sigma in (0.02, 0.1, 1.0):
        gain = covariance @ np.linalg.inv(covariance + sigma**2 * np.eye(8))
        bias = (test - mean) @ (gain - np.eye(8)).T
        expected = np.sqrt((bias**2).mean() + sigma**2 * (gain**2).sum() / 8)
        assert figures[f"gaussian_rmse_at_{sigma:g}"] == pytest.approx(expected, rel=1e-6)
    assert set(score_figures(images)(Zero())) == {name for name in figures if name.startswith("rmse")}


SPLITS = {"test": grey_files(0, 2), "train": grey_files(0, 13)}
KINDS = {
    "classifier": (NATURAL.classifier, {"test_accuracy"}),
    "classifier --adversarial": (NATURAL.adversarial, {"test_accuracy", "under_pgd"}),
    "score": (NATURAL.score, {f"rmse_at_{sigma}" for sigma in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1)}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_has_the_whole_recipe(tmp_path, monkeypatch, capsys, kind):
    recipe, figures = KINDS[kind]
    monkeypatch.setattr(bench.data.cifar_jpeg, "CHECKSUMS", checksums(SPLITS))
    monkeypatch.setattr(bench.models.figures, "MOST_PIXELS", 100)  # the Gaussian error takes seconds
    words = f"train {kind} --dataset cifar10-jpeg --epochs 1 --quiet --device cpu".split()
    data = zipped(tmp_path / "images", SPLITS)
    assert main([*words, "--data-dir", str(data), "--out", str(tmp_path / "out")]) == 0
    card = read_card(tmp_path / "out" / "model.safetensors")
    classes = {} if kind == "score" else {"classes": 10}
    fitted = {"mean": 0.2529, "spread": 0.1472, "channels": 3} | classes
    stored = replace(recipe, epochs=1, arguments=recipe.arguments | fitted).as_dict()
    assert card["recipe"] == {key: list(value) if key == "levels" else value for key, value in stored.items()}
    assert (card["dataset"], card["trained_on"], card["image_shape"]) == ("cifar10-jpeg", 130, [3, 32, 32])
    assert set(card["figures"]) == figures
