"""What the suites for larger data sets would cost: from the times of networks and the passes of each cell."""

import json
from functools import partial

import pytest
import torch

from bench.cli.main import main
from bench.console.benchmark import benchmark_text
from bench.doctor import benchmark as subject
from bench.doctor.benchmark import SETTINGS, benchmark, primitives
from bench.models import stand_ins
from bench.models.networks.preconditioning import PreconditionedDenoiser
from bench.models.stand_ins import DDPM_CIFAR10, SIDE, small_classifier, small_denoiser, stand_in
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.prediction import Costs, forecast, tried
from bench.run.worker import Worker
from bench.threat import ThreatModel


def small(setting):
    return setting._replace(
        shape=(3, SIDE, SIDE),
        classifier=lambda: stand_in(small_classifier, "a small classifier"),
        score=lambda: stand_in(small_denoiser, "a small denoiser"),
    )


class Pointwise(torch.nn.Module):
    """A network whose passes cost next to nothing: they are counted, not timed."""

    def forward(self, x, level):
        return x * 0.5


@pytest.fixture(scope="module")
def document():
    patch = pytest.MonkeyPatch()
    pointwise = partial(PreconditionedDenoiser, Pointwise(), mean=0.5, spread=0.25, low=1e-6, high=1e6)
    patch.setattr(stand_ins, "small_denoiser", lambda: pointwise())
    patch.setattr(subject, "primitives", lambda call, x, role: ONE[role])
    try:
        return benchmark(make_registry(), "cpu", tuple(map(small, SETTINGS)))
    finally:
        patch.undo()


ONE = {
    "classifier": {"classifier_forward": 1.0, "classifier_backward": 2.0},
    "score": {"score_forward": 10.0, "score_backward": 20.0, "score_hvp": 30.0},
}
"""Seconds of each pass, as if timed."""


def cell(document, defense, attack):
    (found,) = [c for c in document["cells"] if c["cell"] == f"{defense} under {attack}"]
    return found


def test_a_deterministic_cell_by_hand(document):
    """pgd-full on tweedie: 2 losses of 20 gradients and a confirmation each, and 2 scores; a pass of either network in each."""
    costs = cell(document, "tweedie", "pgd-full")
    evaluation, gradient = 1 + 10, 1 + 2 + 10 + 20
    assert costs["images"] == 512
    assert costs["most"]["seconds"] == pytest.approx(512 * (40 * gradient + (2 + 2) * evaluation))


def test_a_diffusion_cell_by_hand(document):
    """dw-box-2024 on diffpure: 20 gradients at the scored draw; 100 denoisings forward, each done again backward."""
    costs = cell(document, "diffpure", "dw-box-2024")
    passes = costs["most"]["passes"]
    assert passes["score_backward"] == 512 * 20 * 100
    assert passes["classifier_backward"] == 512 * 20
    assert passes["score_forward"] == 512 * (20 * 200 + (passes["classifier_forward"] / 512 - 20) * 100)


def test_passes_are_those_of_a_dry_run():
    """Counted on small images with small networks, as on the real ones."""
    registry, threat = make_registry(), ThreatModel.parse("linf:8/255")
    real = plan(Request(defense="dpsam", threat=threat), registry)
    small = plan(Request(defense="dpsam", dataset="cifar10", threat=threat), subject._small(registry, SETTINGS[0]))
    trials = (
        partial(tried, Worker(real, torch.device("cpu"), 2, lambda *_: None)),
        partial(subject._counted, small, {}, {}),
    )
    dry, counted = (forecast(real, Costs(trial), images=100, done=0).most.passes for trial in trials)
    assert counted == dry
    assert dry["score_hvp"] > 0


def test_bounds_and_suites(document):
    assert {c["suite"] for c in document["cells"]} == {"cifar10-standard", "imagenet-standard"}
    for costs in document["cells"]:
        assert 0 < costs["least"]["seconds"] <= costs["most"]["seconds"]
    assert document["device"] == "cpu"
    json.dumps(document, allow_nan=False)


def test_the_text_names_stand_ins_and_totals(document):
    text = benchmark_text(document)
    assert "the networks are untrained" in text
    assert "a small denoiser" in text
    assert "10000.00" in text
    assert sum("in all" in line for line in text.splitlines()) == 2


def test_times_are_of_one_image_and_no_pass_is_negative():
    slow = torch.nn.Conv2d(3, 3, 3, padding=1).requires_grad_(False)
    seconds = primitives(slow, torch.full((4, 3, 16, 16), 0.5), "score")
    assert set(seconds) == {"score_forward", "score_backward", "score_hvp"}
    assert all(0 <= value < 1 for value in seconds.values())


def test_building_a_stand_in_leaves_the_global_random_state():
    before = torch.get_rng_state()
    stand_in(small_denoiser, "")
    assert torch.equal(before, torch.get_rng_state())


def test_out_of_memory_halves_the_batch(monkeypatch):
    seen = []

    def greedy(call, x, role):
        seen.append(len(x))
        if len(x) > 1:
            raise MemoryError
        return ONE[role]

    monkeypatch.setattr(subject, "primitives", greedy)
    network = subject._timed(small(SETTINGS[0]), "classifier", stand_in(small_classifier, ""), torch.device("cpu"))
    assert (seen, network.batch) == ([2, 1], 1)


def test_the_command(monkeypatch, capsys, document):
    monkeypatch.setattr(subject, "benchmark", lambda registry, device: document)
    assert main(["doctor", "--benchmark", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(document))
    assert main(["doctor", "--benchmark", "--device", "cpu"]) == 0
    assert "ms an image" in capsys.readouterr().out


@pytest.mark.slow
def test_stand_ins_have_the_published_sizes():
    """36,479,194 parameters of WideResNet-28-10, 35,746,307 of google/ddpm-cifar10-32, 25,557,032 of ResNet-50."""
    sizes = [make().parameters for setting in SETTINGS for make in (setting.classifier, setting.score)]
    assert sizes[:3] == [36_479_194, 35_746_307, 25_557_032]
    assert DDPM_CIFAR10["sample_size"] == 32
