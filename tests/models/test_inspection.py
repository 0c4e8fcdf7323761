"""Classifiers that would give a wrong number without an error: caught before the run, in one sentence."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from refused import refused
from torch import nn

from bench.cli.main import main
from bench.models.inspection import inspect_classifier

X = torch.linspace(0.1, 0.9, 4 * 3 * 8 * 8).view(4, 3, 8, 8)

PARTS = """
import torch
from torch import nn

def network():
    torch.default_generator.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))

class Softmax(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = network()
    def forward(self, x): return self.network(x).softmax(dim=1)

class Hidden(nn.Module):
    'Its network is no registered part of it: eval() does not reach it.'
    def __init__(self):
        super().__init__()
        self.parts = [network().train()]
    def forward(self, x): return self.parts[0](x)

class Stubborn(nn.Module):
    'It does not let eval() through.'
    def __init__(self):
        super().__init__()
        self.network = network()
    def train(self, mode=True): return self
    def forward(self, x): return self.network(x)

class Sized(nn.Module):
    image_shape = (3, 32, 32)
    def forward(self, x): return x.flatten(1)[:, :3]

class SizedScore:
    image_shape = (3, 64, 64)
    def denoise(self, y, sigma): return y
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("parts.py").write_text(PARTS)
    images = np.arange(6 * 3 * 64, dtype=np.int64).astype(np.uint8).reshape(6, 3, 8, 8)
    np.savez("own.npz", images=images, labels=np.arange(6) % 3)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--classifier parts.py:Softmax", "classifier-probabilities"),
        ("--classifier parts.py:Hidden", "classifier-mixes-images"),
        ("--classifier parts.py:Stubborn", "classifier-train-mode"),
        ("--classifier parts.py:Sized", "component-image-shape"),
        ("--classifier parts.py:network --defense tweedie --score-model parts.py:SizedScore", "component-image-shape"),
        ("--classifier autoattack-resnet18", "component-image-shape"),
        ("--classifier fashion-mnist-cnn", "component-image-shape"),
        ("--classifier parts.py:network --defense tweedie --score-model fashion-mnist-unet", "component-image-shape"),
    ],
)
def test_what_is_caught_before_the_run(words, code, capsys):
    assert (
        main(
            shlex.split(
                f"run --quiet --dataset npz:own.npz --threat linf:8/255 --defense none --attack null -n 2 {words}"
            )
        )
        == 2
    )
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"[{code}]" in err


def test_a_classifier_in_order_passes(capsys):
    words = "run --quiet --dataset npz:own.npz --threat linf:8/255 --defense none --attack null -n 2"
    assert main(shlex.split(f"{words} --classifier parts.py:network")) == 0


def test_outputs_that_only_look_like_probabilities_pass():
    class Positive(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :3]

    class Logarithms(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :3].log_softmax(dim=1)

    for network in (Positive(), Logarithms()):
        inspect_classifier(network.eval(), X, "it")


def test_probabilities_of_one_image_are_noticed_too():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.Softmax(dim=1)).eval()
    with refused("classifier-probabilities"):
        inspect_classifier(network, X[:1], "it")
