"""`bench train` on data of one's own: one command each, taken by `bench run`, the same after a kill, with a curve and a card."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch
from refused import refused

from bench.cli.main import main
from bench.models.card import write_curve
from bench.models.hub import hub_score_model, save_score_model, unet
from bench.models.training.objectives import noise_loss
from bench.models.training.recipe import CLASSIFIER, DIFFUSERS_SCORE, Recipe
from bench.models.training.training import train
from bench.models.weights import build, read_card

LABELS = np.arange(300) % 3
IMAGES = np.zeros((300, 3, 8, 8), np.uint8)
for row, label in enumerate(LABELS):  # class k is bright in channel k, at a level that differs from image to image
    IMAGES[row, label] = 128 + row % 100

TINY = {
    "block_out_channels": [8, 16], "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "layers_per_block": 1, "norm_num_groups": 4, "sample_size": 8,
    "in_channels": 3, "out_channels": 3,
}  # fmt: skip
RECIPE = Recipe(architecture="diffusers-unet", arguments=TINY, epochs=3, batch=32, rate=5e-3, average=0.5)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with the data; sums in one order."""
    monkeypatch.chdir(tmp_path)
    np.savez("own.npz", images=IMAGES, labels=LABELS)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fit(out, images=IMAGES, report=lambda line: None):
    return train(
        RECIPE, noise_loss, images, LABELS[: len(images)], out=Path(out), figures=lambda model: {}, save=save_score_model,
        dataset="own", report=report,
    )  # fmt: skip


def bench(words):
    return main(shlex.split(words))


TRAIN = [
    pytest.param("classifier", "--classifier weights:own/model.safetensors --defense none", id="classifier"),
    pytest.param(
        "classifier --adversarial --threat linf:8/255",
        "--classifier weights:own/model.safetensors --defense none",
        id="adversarial classifier",
    ),
    pytest.param("score", "--score-model weights:own/model.safetensors --defense tweedie", id="score model"),
    pytest.param(
        "score --format diffusers", "--score-model diffusers:own --defense denoise-once --draws 2", id="diffusers"
    ),
]


@pytest.mark.parametrize(("kind", "use"), TRAIN)
def test_one_command_trains_what_bench_run_takes(kind, use, capsys):
    if "diffusers" in kind:
        pytest.importorskip("diffusers")
    assert bench(f"train {kind} --dataset npz:own.npz --epochs 1 --out own --quiet") == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.exists()
    classifier = "" if "--classifier" in use else "--classifier parts.py:Channels"
    Path("parts.py").write_text(
        "from torch import nn\nclass Channels(nn.Module):\n    def forward(self, x): return x.mean(dim=(2, 3)) * 9\n"
    )
    run = f"run --dataset npz:own.npz --threat linf:8/255 --attack pgd-full -A steps=2 -n 3 --json --quiet {classifier} {use}"
    assert bench(run) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["n"] == 3
    assert summary["checks"]["gradient_error"] < 1e-4
    card = json.loads(Path("own/model.json").read_text())
    assert (card["image_shape"], card["trained_on"], card["dataset"]) == ([3, 8, 8], 270, "npz:own.npz")
    text = Path("own/README.md").read_text()
    assert f"{card['parameters']:,} parameters" in text
    assert "270 images of 3 x 8 x 8 from npz:own.npz" in text
    assert card["sha256"] in text
    assert f"`bench run --{'classifier' if 'classifier' in kind else 'score-model'} " in text


def test_diffusers_training_goes_on_with_the_same_bits():
    pytest.importorskip("diffusers")

    def kill(line):
        raise KeyboardInterrupt(line)

    whole = fit("whole")
    with pytest.raises(KeyboardInterrupt, match=r"epoch 1/3  loss \d"):
        fit("parts", report=kill)
    assert Path("parts/curve.csv").read_text() == "".join(Path("whole/curve.csv").read_text().splitlines(True)[:2])
    parts = fit("parts")
    for name in ("unet/diffusion_pytorch_model.safetensors", "unet/config.json", "curve.csv", "curve.svg"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    assert json.loads((parts / "model.json").read_text()) == json.loads((whole / "model.json").read_text())


def test_the_diffusers_loss_falls_and_the_model_denoises():
    pytest.importorskip("diffusers")
    out = fit("own")
    curve = json.loads((out / "model.json").read_text())["curve"]
    assert curve[-1] < 0.6 * curve[0]
    score = hub_score_model(place=str(out))
    assert score.image_shape == (3, 8, 8)
    x = torch.from_numpy(IMAGES[:32] / 255).float()
    noisy = x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    error = (score.denoise(noisy, 0.3) - x).square().mean().sqrt()
    assert error < 0.8 * 0.3


def test_the_noise_loss_of_a_constant_answer_is_the_variance_of_the_noise():
    """A network that says zero errs by E n^2 = 1; one that is given the noise by its inputs' scale cannot be better than 0."""
    pytest.importorskip("diffusers")
    model = unet(**TINY)
    torch.nn.init.zeros_(model.network.conv_out.weight)
    torch.nn.init.zeros_(model.network.conv_out.bias)
    x = torch.from_numpy(IMAGES[:128] / 255).float()
    loss = noise_loss(model, x, torch.zeros(128), torch.Generator().manual_seed(0))
    assert float(loss.detach()) == pytest.approx(1, abs=0.02)
    with pytest.raises(TypeError, match="expected a VariancePreservingDenoiser, got Linear"):
        noise_loss(torch.nn.Linear(1, 1), x, x, torch.Generator())


def test_after_a_kill_the_same_command_ends_with_the_same_curve(capsys):
    words = "train classifier --dataset npz:own.npz --device cpu --epochs 25 --quiet --out"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "bench", *words.split(), "killed"], env=environment)
    deadline = time.monotonic() + 60
    while not Path("killed/curve.csv").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    begun = len(Path("killed/curve.csv").read_text().splitlines()) - 1
    assert 1 <= begun < 25
    assert not Path("killed/model.safetensors").exists()
    for out in ("killed", "whole"):
        assert bench(f"{words} {out}") == 0
    for name in ("curve.csv", "curve.svg", "model.safetensors", "model.json"):
        assert Path("killed", name).read_bytes() == Path("whole", name).read_bytes()


def test_a_checkpoint_of_other_images_is_refused():
    pytest.importorskip("diffusers")
    fit("own")
    with refused("checkpoint-other-images"):
        fit("own", images=255 - IMAGES)


def test_the_curve_is_a_table_and_a_drawing(tmp_path):
    write_curve(tmp_path, [2.0, 1.0, 0.5])
    assert (tmp_path / "curve.csv").read_text() == "epoch,loss\n1,2\n2,1\n3,0.5\n"
    root = ElementTree.fromstring((tmp_path / "curve.svg").read_text())
    (line,) = root.findall("{http://www.w3.org/2000/svg}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
    assert points == [(48, 48), (320, pytest.approx(197.3, abs=0.1)), (592, 272)]
    write_curve(tmp_path, [1.0])
    assert ElementTree.fromstring((tmp_path / "curve.svg").read_text()) is not None


def test_a_data_set_with_training_images_is_judged_on_its_test_images(capsys):
    pytest.importorskip("sklearn")
    assert bench("train classifier --dataset digits --epochs 4 --out own --quiet") == 0
    card = read_card(Path("own/model.safetensors"))
    assert (card["trained_on"], card["dataset"], card["image_shape"]) == (1000, "digits", [1, 8, 8])
    assert card["figures"]["test_accuracy"] > 0.8
    run = "run --dataset digits --classifier weights:own/model.safetensors --defense none --attack null -n 20 --json --quiet"
    capsys.readouterr()
    assert bench(run) == 0
    assert json.loads(capsys.readouterr().out)["spec"]["threat"] == "linf:0.15"


def test_weights_say_what_images_they_are_for(capsys):
    assert bench("train classifier --dataset npz:own.npz --epochs 1 --out own --quiet") == 0
    capsys.readouterr()
    assert bench("run --classifier weights:own/model.safetensors --defense none --quiet") == 2
    assert "[component-image-shape]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("train score --format onnx --dataset npz:own.npz", "train-format"),
        ("train score --dataset npz:absent.npz", "npz-unreadable"),
        ("train score --dataset zzz", "component-unknown"),
    ],
)
def test_what_cannot_be_trained(words, code, capsys):
    assert bench(f"{words} --quiet") == 2
    assert f"[{code}]" in capsys.readouterr().err


def test_without_diffusers_its_format_is_refused_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    assert bench("train score --format diffusers --dataset npz:own.npz --quiet --out own") == 2
    assert capsys.readouterr().err.endswith('; pip install "purebench[hub]" [package-missing]\n')


def test_the_shipped_recipe_of_diffusers_builds_its_network():
    pytest.importorskip("diffusers")
    arguments = {**DIFFUSERS_SCORE.arguments, "sample_size": 28, "in_channels": 1, "out_channels": 1}
    x = torch.zeros(2, 1, 28, 28)
    assert build(DIFFUSERS_SCORE.architecture, arguments).denoise(x, 0.1).shape == x.shape
    assert CLASSIFIER.epochs < DIFFUSERS_SCORE.epochs
