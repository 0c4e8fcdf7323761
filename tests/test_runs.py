"""A run gives the same record whatever the order, the batch, the interruptions and the neighbours were."""

from __future__ import annotations

import copy
import json
import re

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from attacks.pgd import pgd
from bench.cli import make_registry
from bench.data.dataset import Dataset
from bench.data.fashion_mnist import fashion_mnist
from bench.defended import DefendedClassifier
from bench.models.embedded import fashion_mnist_classifier, fashion_mnist_score_model
from bench.noise import Noise
from bench.plan import Request, plan
from bench.runner import Options, record_path, run
from bench.threat import ThreatModel
from defenses.denoise_once import DenoiseOnce
from defenses.dpsam import DPSAM

QUICK = {"defenses": {"steps": 2, "bank": 2}, "attacks": {"steps": 2, "losses": ("cw",)}}
NOISY = {"attacks": {"steps": 2, "losses": ("cw",), "eot": 2}}
CASES = [("dpsam", QUICK), ("denoise-once", NOISY)]


class Silent:
    def started(self, lines, total):
        pass

    def working(self, done, standing, images):
        pass

    def finished(self, lines):
        pass


def request(defense, arguments, **more):
    return plan(Request(defense=defense, arguments=arguments, **more), make_registry())


def untimed(path):
    """Every file of a record as bytes, timings and memory (and the hash of the file that holds them) left out."""
    files = {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    files["samples.jsonl"] = re.sub(rb'"(seconds|memory)":[0-9.e-]+', b"", files["samples.jsonl"])
    files["SHA256SUMS"] = re.sub(rb"\w+  samples.jsonl", b"", files["SHA256SUMS"])
    return files


def by_id(path):
    """Lines and adversarial images of a record, by sample id."""
    lines = {}
    for text in (path / "samples.jsonl").read_text().splitlines():
        line = json.loads(text)
        lines[line["id"]] = {key: value for key, value in line.items() if key not in ("seconds", "memory")}
    images = {}
    for file in (path / "adversarial").iterdir():
        evidence = load_file(file)
        images |= dict(zip(evidence["ids"].tolist(), (image.tobytes() for image in evidence["images"]), strict=True))
    return lines, images


@pytest.mark.parametrize(("defense", "arguments"), CASES)
def test_another_order_and_other_neighbours_change_no_line_and_no_pixel(defense, arguments, tmp_path):
    planned = request(defense, arguments)
    run(planned, Options(samples=60, results=tmp_path / "a"), Silent())
    source = fashion_mnist()
    order = np.concatenate([np.random.Generator(np.random.Philox(key=4)).permutation(60), np.arange(60, len(source))])
    shuffled = Dataset(
        name=source.name, ids=source.ids[order], images=source.images[order], labels=source.labels[order], classes=source.classes
    )  # fmt: skip
    object.__setattr__(planned, "dataset", shuffled)
    run(planned, Options(samples=60, results=tmp_path / "b"), Silent())
    assert by_id(record_path(planned, tmp_path / "a")) == by_id(record_path(planned, tmp_path / "b"))


@pytest.mark.parametrize(("defense", "arguments"), CASES)
@pytest.mark.parametrize("stages", [(50, 100), (20, 70, 100)])
def test_a_record_that_grew_is_the_record_of_one_go(defense, arguments, stages, tmp_path):
    planned = request(defense, arguments)
    run(planned, Options(samples=100, results=tmp_path / "once"), Silent())
    for count in stages:
        run(planned, Options(samples=count, results=tmp_path / "grown"), Silent())
    once, grown = (record_path(planned, tmp_path / name) for name in ("once", "grown"))
    assert untimed(once) == untimed(grown)


@pytest.fixture(scope="module")
def networks():
    return fashion_mnist_classifier(), fashion_mnist_score_model()


def predictions(classifier, defense, dtype, chunk, count):
    data = fashion_mnist()
    x = torch.from_numpy(data.floats(slice(0, count))).to(dtype)
    y, ids = torch.from_numpy(data.labels[:count]), torch.from_numpy(data.ids[:count])
    model = DefendedClassifier(classifier, defense, chunk=chunk)
    noise = Noise(0, ids)
    adversarial = pgd(model, x, y, ThreatModel.parse("linf:20/255"), noise.of("attack"), steps=3, losses=("cw",), eot=1)
    return model(adversarial, noise).argmax(dim=1)


@pytest.mark.parametrize("kind", [DPSAM, DenoiseOnce])
def test_in_double_precision_the_batch_size_changes_no_prediction(kind, networks):
    classifier, score = (copy.deepcopy(network).double() for network in networks)
    arguments = {"steps": 2, "bank": 2} if kind is DPSAM else {}
    first, *others = (
        predictions(classifier, kind(score=score, **arguments), torch.float64, chunk, 10) for chunk in (1, 7, 64)
    )
    assert all(torch.equal(first, other) for other in others)


def test_in_single_precision_at_most_one_image_in_200_ends_otherwise(networks):
    classifier, score = networks
    first, *others = (
        predictions(classifier, DenoiseOnce(score=score), torch.float32, chunk, 200) for chunk in (1, 7, 64)
    )
    assert max(int((first != other).sum()) for other in others) <= 1
