"""The examples honour the contract and are as short as the docs promise; a package of its own registers its parts."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.models.embedded import fashion_mnist_score_model
from bench.testing import check_attack, check_defense

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines_of_code(text):
    """Lines that are neither blank, nor imports, nor text, up to the check at the end."""
    import ast

    tree = ast.parse(text)
    words = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for line in range(node.lineno, node.end_lineno + 1)
    }
    body = text.partition("\nif __name__")[0].splitlines()
    return sum(bool(line.strip()) and number not in words for number, line in enumerate(body, 1))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short(path):
    assert 5 < lines_of_code(path.read_text()) < 30


def test_the_defense_honours_the_contract_and_is_two_passes():
    defense = example("two_shots").TwoShots(score=fashion_mnist_score_model())
    assert len(check_defense(defense)) == 7

    class Half:
        def denoise(self, y, sigma):
            return y / 2

    from bench.noise import Noise

    x, noise = torch.full((2, 1, 4, 4), 0.8), Noise(0, torch.arange(2))
    once = ((x + 0.3 * noise.normal(x, step=0)) / 2).clamp(0, 1)
    twice = ((once + 0.15 * noise.normal(x, step=1)) / 2).clamp(0, 1)
    assert torch.equal(example("two_shots").TwoShots(score=Half()).purify(x, noise), twice)


def test_the_attack_honours_the_contract_and_states_its_work():
    module = example("momentum")
    assert len(check_attack(module.momentum)) == 6
    assert module.work(steps=20, decay=1.0).gradients == 20


def test_the_data_set_is_half_as_bright():
    from bench.data.fashion_mnist import fashion_mnist

    data, bright = example("dim").dim(), fashion_mnist()
    assert data.images.max() == 128
    assert sorted(data.labels[:10]) == list(range(10))
    assert np.array_equal(data.ids, bright.ids)


def test_the_score_model_is_the_posterior_mean_of_a_gaussian():
    """By dense linear algebra: the covariance of a periodic field with this spectrum."""
    sigma, model = 0.7, example("wiener").Wiener(size=6, mean=0.3, power=2.0, corner=0.2).double()
    y = torch.linspace(0, 1, 36, dtype=torch.float64).square().view(1, 1, 6, 6)
    identity = torch.eye(36, dtype=torch.float64).view(36, 6, 6)
    covariance = torch.fft.irfft2(model.power * torch.fft.rfft2(identity), s=(6, 6)).view(36, 36)
    gain = covariance @ torch.linalg.inv(covariance + sigma**2 * torch.eye(36, dtype=torch.float64))
    expected = 0.3 + gain @ (y.flatten() - 0.3)
    assert torch.allclose(model.denoise(y, sigma).flatten(), expected, atol=1e-12)
    each = model.denoise(y.expand(2, 1, 6, 6), torch.tensor([sigma, 1e-6]))
    assert torch.allclose(each[0].flatten(), expected, atol=1e-7)
    assert torch.allclose(each[1], y[0], atol=1e-9)


def test_an_installed_package_registers_its_parts(tmp_path):
    package, target = tmp_path / "package", tmp_path / "target"
    shutil.copytree(ROOT / "tests" / "example_package", package)
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(target), str(package)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    inherited = os.environ.get("PYTHONPATH", "")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(target), str(ROOT), inherited]))}

    def bench(*words):
        done = subprocess.run(
            [sys.executable, "-m", "bench", *words], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
        )  # fmt: skip
        return done.stdout

    listed = {row["name"]: row for row in json.loads(bench("list", "--json"))}
    assert listed["example-blur"]["summary"] == "purebench-example"
    assert {"example-corners", "example-stripes", "example-shrinkage"} < set(listed)
    text = bench(
        "run", "--defense", "example-blur", "--attack", "example-corners", "--dataset", "example-stripes",
        "--classifier", "fashion-mnist-cnn", "--threat", "linf:8/255", "-n", "2", "--quiet",
    )  # fmt: skip
    assert "example-blur under example-corners · example-stripes linf:8/255 · n = 2" in text


@pytest.mark.parametrize(("name", "part"), [("defense", "Blur"), ("attack", "corners")])
def test_the_package_honours_the_contract(name, part, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "example_package"))
    package = importlib.import_module("purebench_example")
    if name == "defense":
        assert len(check_defense(package.Blur())) == 7
    else:
        assert len(check_attack(package.corners, gradient="none", optimal=False)) == 5
