"""Every dishonest part is caught by the check that is there for it, and by no other."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from refused import refused
from tampered import reseal
from torch import nn

import bench.models.weights
import bench.run.worker
from bench.claims.checks import REFUSED, measure_claims
from bench.cli.main import main
from bench.data.dataset import Dataset
from bench.errors import AttackError, UserError
from bench.machine.device import pick_device
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.runner import Options, Silent, run
from bench.run.worker import Worker
from bench.threat import ThreatModel

PLANTS = Path(__file__).parent.parent / "plants"
SIZE = 4
BEFORE_A_RUN = [
    "detached", "hidden_no_grad", "generator_in_checkpoint", "claimed_deterministic", "global_draw", "reseeds", "batch_mean",
    "slot_noise", "softmax", "dropout", "quantised", "guarded_late", "grad_aware", "half", "lazy",
]  # fmt: skip


class Waves(nn.Module):
    """Ten classes by the mean of waves over ten pixels each."""

    def forward(self, x):
        return 4 * (20 * x).sin().view(len(x), 10, 10).mean(dim=2)


def images():
    grey = np.random.Generator(np.random.Philox(key=2)).uniform(0.3, 0.7, size=(SIZE, 1, 10, 10)).astype(np.float32)
    labels = Waves()(torch.from_numpy(grey)).argmax(dim=1).numpy()
    return Dataset(name="waves", ids=np.arange(SIZE), images=grey, labels=labels, classes=tuple(map(str, range(10))))


def plant(name):
    spec = importlib.util.spec_from_file_location(f"plants_{name}", PLANTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def planned(name):
    """The plan of a run in which the named plant stands for defense, classifier, score model or attack."""
    here, there, part = f"{__file__}:", f"{PLANTS / name}.py:", plant(name)
    return plan(
        Request(
            defense=there + "Defense" if hasattr(part, "Defense") else "none",
            classifier=there + "Classifier" if hasattr(part, "Classifier") else here + "Waves",
            score_model=there + "Score" if hasattr(part, "Score") else None,
            attack=there + "attack" if hasattr(part, "attack") else "null",
            dataset=here + "images", threat=ThreatModel.parse("linf:0.1"),
        ),
        make_registry(),
    )  # fmt: skip


def worker(name):
    return Worker(planned(name), pick_device("cpu"), SIZE, lambda *_: None)


@pytest.mark.parametrize("name", BEFORE_A_RUN)
def test_what_is_measured_before_a_run(name, monkeypatch):
    monkeypatch.setattr(bench.run.worker, "verify_claims", measure_claims)
    _, claims = worker(name).claims()
    assert {claim.check for claim in claims if claim.verdict == "failed"} == plant(name).CAUGHT_BY


@pytest.mark.parametrize("name", BEFORE_A_RUN)
def test_what_leaves_no_number_to_record_is_refused(name):
    codes = {REFUSED[check] for check in plant(name).CAUGHT_BY if check in REFUSED}
    if not codes:
        failed = [claim["check"] for claim in worker(name).claims()["claims"] if claim["verdict"] == "failed"]
        assert set(failed) == plant(name).CAUGHT_BY
        return
    if name == "softmax":  # which the look at the classifier finds first
        codes = {"classifier-probabilities"}
    with pytest.raises(UserError) as error:
        worker(name).claims()
    assert error.value.code in codes


def test_an_attack_that_leaves_the_ball(tmp_path):
    with refused("attack-left-ball", kind=AttackError):
        run(planned("leaves_ball"), Options(results=tmp_path, samples=None, device="cpu"), Silent())


def verified(path, capsys):
    """The exit code of `bench verify`, the checks that failed, and the images that differ."""
    capsys.readouterr()
    code = main(["verify", str(path), "--quiet", "--json"])
    report = json.loads(capsys.readouterr().out)
    return code, {found["check"] for found in report["findings"] if found["passed"] is False}, report["differing"]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """A record whose attack broke some images."""
    folder = tmp_path_factory.mktemp("attacked")
    words = f"run --quiet --defense none --attack pgd-full -A steps=3 -A losses=cw -n 3 --device cpu --results {folder}"
    assert main(words.split()) == 0
    return next(folder.glob("*/*/*"))


@pytest.mark.parametrize("name", ["tampered_evidence", "tampered_lines"])
def test_what_was_tampered_with_and_sealed_again(name, attacked, tmp_path, capsys):
    path = tmp_path / "copy"
    shutil.copytree(attacked, path)
    assert verified(path, capsys) == (0, set(), [])
    plant(name).tamper(path)
    assert verified(path, capsys)[:2] == (1, {"seal"})
    reseal(path)
    code, failed, differing = verified(path, capsys)
    assert (code, failed, len(differing)) == (1, plant(name).CAUGHT_BY, 1)


def test_a_swapped_weight_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for suffix in (".safetensors", ".json"):
        shutil.copy((bench.models.weights.EMBEDDED / "fashion-mnist-classifier").with_suffix(suffix), f"w{suffix}")
    words = "run --quiet --defense none --attack null -n 2 --device cpu --classifier weights:w.safetensors"
    assert main(words.split()) == 0
    (path,) = Path("results").glob("*/*/*")
    assert verified(path, capsys)[0] == 0
    plant("swapped_weights").tamper(Path("w.safetensors"))
    assert verified(path, capsys)[:2] == (1, plant("swapped_weights").CAUGHT_BY)
