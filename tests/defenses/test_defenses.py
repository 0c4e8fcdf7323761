"""Every built-in defense honours the contract on the embedded data, and says what it is."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass

import pytest
import torch
from refused import refused

from bench.data.fashion_mnist import fashion_mnist
from bench.models.embedded import fashion_mnist_score_model
from bench.noise import ForbiddenNoise, Noise
from bench.passes import CountedScoreModel, Tally
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.registry import Found
from bench.testing import check_defense
from defenses import TABLE
from defenses.dpsam import DPSAM
from defenses.tweedie import Tweedie

SLOW = {"diffpure", "diffpure-ddpm", "diffpure-ode", "gdmp", "scoreopt", "adp"}
"""A hundred calls of the score model or more, most of them: their small presets run the same code."""
STOCHASTIC = {"denoise-once", "diffpure", "diffpure-ddpm", "diffpure-ode", "lm", "smoothing", "gdmp", "scoreopt", "adp"}
FLAT = {"jpeg", "bit-depth", "threshold"}


def build(name, score=None):
    entry = TABLE[name]
    target = Found("defenses", name, entry, "built-in").load()
    needs = {"score": score or fashion_mnist_score_model()} if "score" in inspect.signature(target).parameters else {}
    return target(**needs, **entry.args)


def embedded(count):
    data = fashion_mnist()
    return torch.from_numpy(data.floats(slice(0, count)))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in TABLE]
)
def test_every_defense_honours_the_contract_on_the_embedded_data(name):
    assert all(not check.problem for check in check_defense(build(name), images=embedded(4)))


@pytest.mark.parametrize("family", sorted(STOCHASTIC))
def test_every_stochastic_purifier_has_a_preset_of_at_most_ten_calls(family):
    """Calls of the score model in one purification of one vote."""
    small = f"{family}-small" if f"{family}-small" in TABLE else family
    tally = Tally()
    tally.begin((0,), 1)
    defense = build(small, CountedScoreModel(fashion_mnist_score_model(), tally))
    assert not defense.deterministic
    defense.purify(embedded(1), Noise(0, torch.tensor([0])))
    assert tally.of(0)["score_forward"] <= 10


def test_what_each_defense_claims():
    claims = {name: build(name) for name in TABLE}
    assert {name.removesuffix("-small") for name, defense in claims.items() if not defense.deterministic} == STOCHASTIC
    assert {name for name, defense in claims.items() if not getattr(defense, "differentiable", True)} == FLAT
    assert all(hasattr(defense, "votes") for defense in claims.values() if not defense.deterministic)


@pytest.mark.parametrize("name", sorted(FLAT))
def test_full_gradients_of_a_flat_defense_are_refused_before_anything_is_loaded(name, registry, monkeypatch):
    monkeypatch.setattr("bench.plan.loaded.load_dataset", lambda *_: pytest.fail("loaded"))
    with refused("defense-not-differentiable"):
        plan(Request(defense=name, attack="pgd-full"), registry)


@pytest.fixture(scope="module")
def registry():
    from bench.registry.tables import make_registry

    return make_registry()


def test_the_record_says_the_noise_in_pixel_units_and_whose_choice_a_preset_is(registry):
    notes = plan(Request(defense="diffpure-small", attack="null"), registry).notes
    assert any("purebench's" in note for note in notes)
    assert any("noise of sigma" in note and "in pixel units" in note for note in notes)


def test_votes_of_one_are_left_out_of_a_spec_and_more_make_another_run(registry):
    """The id is that of the reference record, made before there were votes."""
    old = plan(Request(defense="denoise-once"), registry).spec
    assert old.run_id == "db6f39482155"
    assert "votes" not in json.loads(old.model_dump_json())["defense"]["args"]
    many = plan(Request(defense="denoise-once", arguments={"defenses": {"votes": "3"}}), registry)
    assert many.spec.defense.args["votes"] == 3
    assert many.labels["defense"] == "denoise-once votes=3"
    assert many.spec.run_id != old.run_id


@pytest.mark.parametrize(("code", "votes"), [("denoise-once-votes", "0"), ("defense-votes", "1001")])
def test_votes_out_of_range_are_refused(code, votes, registry):
    with refused(code):
        plan(Request(defense="denoise-once", arguments={"defenses": {"votes": votes}}), registry)


def test_dp_is_dpsam_without_sam():
    dp = build("dp")
    assert dp == DPSAM(score=dp.score, rho=0.0)


@dataclass
class TwoModes:
    """`E[x | y]` for images near one of two, each pixel with a deviation of `width`."""

    modes: torch.Tensor
    width: float

    def denoise(self, y, sigma):
        variance = self.width**2 + sigma**2
        gaps = (y[:, None] - self.modes).square().sum(dim=(2, 3, 4))
        shares = (-gaps / (2 * variance)).softmax(dim=1)[:, :, None, None, None]
        return (self.width**2 * y + sigma**2 * (shares * self.modes).sum(dim=1)) / variance


@pytest.mark.parametrize(("width", "share"), [(0.05, 0.25), (0.05, 0.1), (0.01, 0.25)])
def test_an_exact_denoiser_takes_a_displaced_image_back_to_its_mode(width, share):
    """Two images .4 apart in each pixel, one displaced by up to half of half the gap toward the other; sigma .3.

    At the mode the step of sharpness-aware minimization swings by about `step_size rho` to either side, so it is kept small.
    """
    signs = Noise(3, torch.arange(1), "check").normal(torch.empty(1, 1, 20, 20, dtype=torch.float64)).sign()
    modes = torch.cat([0.5 - 0.2 * signs, 0.5 + 0.2 * signs])
    x = modes[:1] + share * (modes[1:] - modes[:1])
    score, forbidden = TwoModes(modes, width), ForbiddenNoise(0, torch.arange(1))
    purifiers = {
        "tweedie": Tweedie(score=score, sigma=0.3),
        "dpsam": DPSAM(score=score, sigma=0.3, bank=1024, steps=20, step_size=0.15, radius=1.0),
        "dp": DPSAM(score=score, sigma=0.3, bank=1024, steps=20, step_size=0.15, radius=1.0, rho=0.0),
    }
    for name, purifier in purifiers.items():
        left = (purifier.purify(x, forbidden) - modes[:1]).norm() / (x - modes[:1]).norm()
        assert float(left) <= 0.05, name
