"""What a run is said to cost, against what it then costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import torch

from bench.gradient import GradientMode
from bench.pace import Work
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.prediction import Costs, Trial, forecast, tried
from bench.run.runner import Options, foresee, run
from bench.run.worker import Worker
from bench.threat import ThreatModel

TINY_EPS = ThreatModel.parse("linf:1/2550")


class Silent:
    def started(self, lines, total):
        pass

    def working(self, done, standing, images):
        pass

    def finished(self, lines):
        self.lines = lines


def worker(planned):
    return Worker(planned, torch.device("cpu"), 8, lambda *_: None)


def predicted(planned, images):
    return forecast(planned, Costs(partial(tried, worker(planned))), images=images, done=0).most


@pytest.mark.parametrize("attack", ["pgd-full", "pgd-bpda", "square"])
def test_where_no_image_breaks_the_passes_are_those_that_were_predicted(attack, tmp_path):
    arguments = {"square": {"queries": 6}}.get(attack, {"steps": 3, "losses": ("ce",)})
    planned = plan(
        Request(defense="tweedie", attack=attack, threat=TINY_EPS, arguments={"attacks": arguments}), make_registry()
    )
    reporter = Silent()
    run(planned, Options(samples=16, results=tmp_path, batch_size=8), reporter)
    standing = [line for line in reporter.lines if line.clean == [line.label]]
    spent = Counter()
    for line in standing:
        spent.update(line.cost)
    said = predicted(planned, len(standing)).passes
    for kind in said:
        assert said[kind] == pytest.approx(spent[kind], rel=0.15, abs=2 * len(standing)), kind


def test_an_attack_without_a_bound_is_not_predicted():
    planned = replace(plan(Request(defense="none"), make_registry()), work=None)
    assert forecast(planned, Costs(pytest.fail), images=10, done=0) is None


def test_nothing_to_do_costs_nothing():
    said = predicted(plan(Request(defense="none"), make_registry()), 0)
    assert (said.images, said.passes, said.seconds) == (0, {}, 0.0)


def test_the_time_grows_with_the_images():
    planned = plan(Request(defense="none"), make_registry())
    assert predicted(planned, 1000).seconds > 10 * predicted(planned, 10).seconds > 0


class Stalled:
    """A clock by which calls of the worker take these seconds, one after the other."""

    def __init__(self, *seconds):
        self.seconds, self.now, self.running = list(seconds), 0.0, False

    def monotonic(self):
        if self.running:
            self.now += self.seconds.pop(0)
        self.running = not self.running
        return self.now


@pytest.mark.parametrize(
    ("mode", "seconds"),
    [
        (GradientMode.NONE, (0.4, 0.02)),
        (GradientMode.NONE, (0.02, 9.0)),
        (GradientMode.FULL, (0.4, 0.9, 0.02, 0.3)),
        (GradientMode.FULL, (0.3, 0.3, 0.3, 0.02)),
    ],
)
def test_a_trial_takes_the_shortest_of_several_calls_and_counts_one(mode, seconds, monkeypatch):
    planned = plan(Request(defense="none"), make_registry())
    monkeypatch.setattr("bench.run.prediction.time", Stalled(*seconds))
    trial = tried(worker(planned), mode)
    assert trial.seconds == pytest.approx(0.02 / 8)
    backward = float(mode is GradientMode.FULL)
    assert {kind: count for kind, count in trial.passes.items() if count} == {
        "classifier_forward": 1.0, **({"classifier_backward": 1.0} if backward else {}),
    }  # fmt: skip


@pytest.mark.parametrize(("defense", "attack"), [("none", "pgd-full"), ("none", "pgd-blind"), ("smoothing", "pgd-eot")])
def test_only_images_that_may_rest_count_as_broken_at_once(defense, attack):
    """Without a defense nothing survives 32/255; fresh draws and a blind view keep every right image under attack."""
    request = Request(defense=defense, attack=attack, threat=ThreatModel.parse("linf:32/255"))
    planned = plan(request, make_registry())
    right = tried(worker(planned), GradientMode.NONE).standing
    trial = tried(worker(planned), planned.gradient)
    assert right > 0.5
    assert trial.images == 8
    assert trial.standing == (0 if attack == "pgd-full" else right)


def test_a_forecast_by_hand():
    """Two evaluations for each score; of ten gradients a likely half."""
    planned = replace(plan(Request(defense="none"), make_registry()), work=Work(evaluations=2, gradients=10))
    own = {
        GradientMode.NONE: Trial(seconds=1.0, passes={"forward": 1.0}),
        planned.gradient: Trial(seconds=3.0, passes={"forward": 1.0, "backward": 2.0}, standing=0.5, images=16),
    }
    said = forecast(planned, Costs(own.get), images=4, done=6)
    assert (said.done, said.standing, said.probed) == (6, 0.5, 16)
    assert (said.most.seconds, said.likely.seconds) == (4 * (2 + 2 + 30), 4 * (2 + 1 + 15))
    assert said.most.passes == {"forward": 4 * 14, "backward": 4 * 20}


def test_runs_of_the_same_parts_are_tried_once_for_each_threat(monkeypatch, tmp_path):
    asked, registry, seen = [], make_registry(), {}

    def noted(worker, mode):
        asked.append(mode.value)
        return Trial(seconds=1.0, passes={})

    monkeypatch.setattr("bench.run.runner.tried", noted)
    for defense, attack, threat, seed, new in [
        ("tweedie", "pgd-full", "linf:8/255", 0, ["full", "none"]), ("tweedie", "apgd-ce", "linf:8/255", 1, []),
        ("tweedie", "pgd-full", "linf:4/255", 0, ["full", "none"]), ("tweedie", "pgd-bpda", "linf:4/255", 0, ["bpda", "none"]),
        ("none", "pgd-full", "linf:8/255", 0, ["full", "none"]),
    ]:  # fmt: skip
        request = Request(defense=defense, attack=attack, threat=ThreatModel.parse(threat), seed=seed)
        asked.clear()
        assert foresee(plan(request, registry), Options(results=tmp_path), seen).probed == 0
        assert asked == new
