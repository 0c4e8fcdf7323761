"""A run gives the same record whatever the order, the batch, the interruptions and the neighbours were."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from attacks.pgd import pgd
from bench.data.dataset import Dataset
from bench.data.fashion_mnist import fashion_mnist
from bench.defended import DefendedClassifier
from bench.models.embedded import fashion_mnist_classifier, fashion_mnist_score_model
from bench.noise import Noise
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.runner import Options, Silent, record_path, run
from bench.threat import ThreatModel
from defenses.denoise_once import DenoiseOnce
from defenses.dpsam import DPSAM

QUICK = {"defenses": {"steps": 2, "bank": 2}, "attacks": {"steps": 2, "losses": ("cw",)}}
NOISY = {"defenses": {"sigma": 0.1}, "attacks": {"steps": 2, "losses": ("cw",), "eot": 2}}
CASES = [("dpsam", QUICK), ("denoise-once", NOISY)]
COUNT = 60
"""A shard of 50 and part of another."""


SCORE = """
import torch

from bench.models.networks.preconditioning import PreconditionedDenoiser
from bench.models.networks.unet import SmallUNet

def score():
    network = SmallUNet(widths=(8, 16), blocks=(1, 1))
    values = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=values) * 0.1
    return PreconditionedDenoiser(network, mean=0.286, spread=0.353, low=0.05, high=1.0).eval().requires_grad_(False)
"""
"""The embedded score model's kind, a tenth of its size."""


def planned_run(defense, arguments, folder):
    (folder / "score.py").write_text(SCORE)
    request = Request(defense=defense, arguments=arguments, score_model=f"{folder / 'score.py'}:score")
    return plan(request, make_registry())


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


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[0])
def once(request, tmp_path_factory):
    """A run, and its record of a shard and some images more, made in one go."""
    defense, arguments = request.param
    folder = tmp_path_factory.mktemp(defense)
    planned = planned_run(defense, arguments, folder)
    summary = run(planned, Options(samples=COUNT, results=folder), Silent())
    assert summary["clean_accuracy"]["value"] > 0.5  # else little would be attacked
    return planned, record_path(planned, folder)


def test_another_order_and_other_neighbours_change_no_line_and_no_pixel(once, tmp_path):
    planned, record = once
    source = fashion_mnist()
    order = np.concatenate(
        [np.random.Generator(np.random.Philox(key=4)).permutation(COUNT), np.arange(COUNT, len(source))]
    )
    shuffled = Dataset(
        name=source.name, ids=source.ids[order], images=source.images[order], labels=source.labels[order], classes=source.classes
    )  # fmt: skip
    other = replace(planned, dataset=shuffled)
    run(other, Options(samples=COUNT, results=tmp_path), Silent())
    assert by_id(record) == by_id(record_path(other, tmp_path))


def test_a_record_that_grew_is_the_record_of_one_go(once, tmp_path):
    """From within a shard to its end, into the next one, and on within that."""
    planned, record = once
    for count in (20, 50, 55, COUNT):
        run(planned, Options(samples=count, results=tmp_path), Silent())
    assert untimed(record) == untimed(record_path(planned, tmp_path))


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
        predictions(classifier, kind(score=score, **arguments), torch.float64, chunk, 8) for chunk in (1, 3, 10)
    )
    assert all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("count", [50, pytest.param(200, marks=pytest.mark.slow)])
def test_in_single_precision_at_most_one_image_ends_otherwise(count, networks):
    classifier, score = networks
    first, *others = (
        predictions(classifier, DenoiseOnce(score=score), torch.float32, chunk, count) for chunk in (1, 7, 64)
    )
    assert max(int((first != other).sum()) for other in others) <= 1
