"""Every preset, stopped and repeated, ends with the record of an undisturbed run; and the protocols say what their papers say."""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from attacks import PROTOCOLS, TABLE
from bench.data.dataset import Dataset
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.records.record import SHARD
from bench.registry.tables import make_registry
from bench.run.runner import Options, record_path, run
from bench.threat import ThreatModel

SIZE = SHARD + 4
REGISTRY = make_registry()
SHORT = {
    "square": {"queries": 30},
    "random": {"tries": 5},
    "cw": {"steps": 10, "searches": 2},
    "autoattack-custom": {"attacks": ("apgd-ce",)},
    "autoattack-fast": {"steps": 10, "queries": 20},
    "lee-kim-2023": {"steps": 3},
    "bpda-eot": {"steps": 3},
    "diffhammer-2024": {"steps": 3},
    "fixed-autoattack-2024": {"steps": 5},
    "apgd-ce": {"steps": 10}, "apgd-dlr": {"steps": 10}, "apgd-t": {"steps": 5}, "apgd-eot": {"steps": 4},
    "pgd-eot": {"steps": 4}, "pgd-known": {"steps": 4}, "pgd-full": {"steps": 5}, "pgd-bpda": {"steps": 5},
    "pgd-blind": {"steps": 5},
}  # fmt: skip
LONG = ("autoattack-plus", "autoattack-rand", "robustbench")
NAMES = [
    pytest.param(name, marks=[pytest.mark.slow] * (name in LONG))
    for name, entry in TABLE.items()
    if not entry.parameter
]


class Waves(nn.Module):
    """Ten classes by the mean of waves over ten pixels each, so that an attack's end depends on its start."""

    def forward(self, x):
        return 40 * (20 * x).sin().view(len(x), 10, 10).mean(dim=2)


class Noisy:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return (x + 0.02 * noise.normal(x)).clamp(0, 1)


def images():
    grey = np.random.Generator(np.random.Philox(key=2)).uniform(0.3, 0.7, size=(SIZE, 1, 10, 10)).astype(np.float32)
    labels = Waves()(torch.from_numpy(grey)).argmax(dim=1).numpy()
    return Dataset(name="waves", ids=np.arange(SIZE), images=grey, labels=labels, classes=tuple(map(str, range(10))))


class Stops:
    """A reporter that interrupts after the first shard."""

    def __init__(self, at):
        self.at = at

    def started(self, lines, total):
        pass

    def working(self, done, standing, images):
        pass

    def finished(self, lines):
        self.at -= 1
        if self.at == 0:
            raise KeyboardInterrupt


def planned(name):
    entry = TABLE[name]
    here = f"{__file__}:"
    stochastic = entry.suits != "deterministic" and name in (
        *PROTOCOLS,
        "pgd-eot",
        "pgd-known",
        "apgd-eot",
        "autoattack-rand",
    )
    return plan(
        Request(
            defense=here + "Noisy" if stochastic else "none", attack=name, dataset=here + "images",
            classifier=here + "Waves", threat=ThreatModel.parse("l2:0.8" if name == "cw" else "linf:0.2"), draws=None,
            arguments={"attacks": SHORT.get(name, {})},
        ),
        REGISTRY,
    )  # fmt: skip


def untimed(path):
    files = {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    for name, pattern in (("samples.jsonl", rb'"(seconds|memory)":[0-9.e-]+'), ("SHA256SUMS", rb"\w+  samples.jsonl")):
        files[name] = re.sub(pattern, b"", files[name])
    return files


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_that_was_stopped_ends_as_one_that_was_not(name, tmp_path):
    asked = planned(name)
    run(asked, Options(results=tmp_path / "calm", samples=None), Stops(0))
    torch.default_generator.manual_seed(5)  # whatever came before
    with pytest.raises(KeyboardInterrupt):
        run(asked, Options(results=tmp_path / "stopped", samples=None), Stops(1))
    run(asked, Options(results=tmp_path / "stopped", samples=None), Stops(0))
    calm, stopped = (record_path(asked, tmp_path / folder) for folder in ("calm", "stopped"))
    assert untimed(calm) == untimed(stopped)
    assert len((calm / "samples.jsonl").read_text().splitlines()) == SIZE


def test_protocols_are_those_of_the_papers():
    values = {name: planned(name).spec.attack.args for name in PROTOCOLS}
    values = {name: {**args, **TABLE[name].args} for name, args in values.items()}
    lee_kim = values["lee-kim-2023"]
    assert {key: lee_kim[key] for key in ("steps", "step_size", "eot", "start", "losses")} == {
        "steps": 200, "step_size": 0.007, "eot": 20, "start": "zero", "losses": ("ce",),
    }  # fmt: skip
    box = values["dw-box-2024"]
    assert (box["steps"], box["step_size"], TABLE["dw-box-2024"].draws) == (20, 2 / 255, 1)
    assert TABLE["dw-box-2024"].knowledge == "known"
    hammer = values["diffhammer-2024"]
    assert (hammer["eot"], hammer["em"], hammer["sharpness"], list(hammer["losses"])) == (
        10,
        5,
        5.0,
        ["cw", "ce", "dlr"],
    )
    assert values["fixed-autoattack-2024"]["verdict"] == values["fixed-autoattack-2024"]["eot"] == 20
    assert TABLE["bpda-eot"].gradient == "bpda"
    assert values["robustbench"]["version"] == "standard"


def test_every_protocol_says_what_it_keeps_and_what_it_changes():
    for name, entry in PROTOCOLS.items():
        assert entry.remark.startswith("keeps"), name
        assert entry.remark in " ".join(planned(name).notes)
