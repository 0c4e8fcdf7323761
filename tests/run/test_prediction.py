"""What a run is said to cost, against what it then costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from bench.gradient import GradientMode
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.prediction import Remembering, predict
from bench.run.runner import Options, run
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


def predicted(planned, images):
    return predict(planned, Worker(planned, torch.device("cpu"), 8, lambda *_: None), images)


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


def test_an_attack_without_a_formula_is_not_predicted():
    assert predicted(replace(plan(Request(defense="none"), make_registry()), work=None), 10) is None


def test_nothing_to_do_costs_nothing():
    said = predicted(plan(Request(defense="none"), make_registry()), 0)
    assert (said.images, said.passes, said.seconds) == (0, {}, 0.0)


def test_the_time_grows_with_the_images():
    planned = plan(Request(defense="none"), make_registry())
    assert predicted(planned, 1000).seconds > 10 * predicted(planned, 10).seconds > 0


class Stalled:
    """A clock by which calls of the worker take these seconds, and as long as the last one from then on."""

    def __init__(self, *seconds):
        self.seconds, self.calls, self.now, self.running = seconds, 0, 0.0, False

    def monotonic(self):
        if self.running:
            self.now += self.seconds[min(self.calls, len(self.seconds) - 1)]
            self.calls += 1
        self.running = not self.running
        return self.now


@pytest.mark.parametrize(
    ("seconds", "calls", "least"),
    [
        ((0.4, 0.9, 0.02, 0.3), 4, 0.02),  # a busy moment in the timed call
        ((0.4, 0.3, 0.3, 0.3), 4, 0.3),
        ((0.9, 0.6, 0.5, 0.1), 3, 0.5),  # a second is spent
        ((2.0, 9.0), 2, 2.0),  # a long call is not repeated, and the first one counts
    ],
)
@pytest.mark.parametrize("mode", [GradientMode.NONE, GradientMode.FULL])
def test_a_price_is_the_least_of_several_timings_and_counts_one_call(mode, seconds, calls, least, monkeypatch):
    planned = plan(Request(defense="none"), make_registry())
    worker, clock = Worker(planned, torch.device("cpu"), 8, lambda *_: None), Stalled(*seconds)
    monkeypatch.setattr("bench.run.worker.time", clock)
    took, passes = worker.time(mode)
    assert (clock.calls, took) == (calls, pytest.approx(least / 8))
    backward = float(mode is GradientMode.FULL)
    assert {kind: count for kind, count in passes.items() if count} == {
        "classifier_forward": 1.0, **({"classifier_backward": 1.0} if backward else {}),
    }  # fmt: skip


class Counting:
    """A prober that counts how often it is asked."""

    def __init__(self):
        self.asked = []

    def time(self, mode):
        self.asked.append(mode.value)
        return float(len(self.asked)), {"classifier_forward": 1.0}

    def probe(self, count):
        self.asked.append(count)
        return 0.5, count


def test_runs_of_the_same_parts_are_timed_once_and_probed_once_for_each_threat():
    registry, prober, seen = make_registry(), Counting(), {}
    asked = []
    for defense, attack, threat, seed in [
        ("tweedie", "pgd-full", "linf:8/255", 0), ("tweedie", "apgd-ce", "linf:8/255", 1), ("tweedie", "pgd-full", "linf:4/255", 0),
        ("tweedie", "pgd-bpda", "linf:4/255", 0), ("none", "pgd-full", "linf:8/255", 0),
    ]:  # fmt: skip
        request = Request(defense=defense, attack=attack, threat=ThreatModel.parse(threat), seed=seed)
        remembering = Remembering(prober, plan(request, registry), seen)
        before = len(prober.asked)
        found = remembering.time(GradientMode.NONE), remembering.time(remembering.plan.gradient), remembering.probe(10)
        assert found == (
            remembering.time(GradientMode.NONE),
            remembering.time(remembering.plan.gradient),
            remembering.probe(10),
        )
        asked.append(prober.asked[before:])
    assert asked == [["none", "full", 10], [], [10], ["bpda", 10], ["none", "full", 10]]
