"""The cheap checks by known answers; dishonest parts are in test_verify_plants.py."""

from __future__ import annotations

import pytest
import torch
from records_for_tables import header
from torch import nn

from bench.claims.likeness import alike, difference
from bench.claims.modes import modes
from bench.claims.operations import operations
from bench.claims.passes import work
from bench.claims.repetition import repetition
from bench.figures.finished import finished_claims
from bench.keyed.generators import restored
from bench.noise import Noise
from bench.passes import CountedScoreModel, Tally
from bench.records.claim import failed_checks
from bench.records.header import Checks, Header
from bench.records.lines import SampleRecord
from bench.registry.arguments import takes
from bench.registry.tables import make_registry
from defenses import TABLE

FEW = {name: {"steps": 6} for name in ("diffpure", "diffpure-ddpm", "diffpure-ode")} | {"dp": {"bank": 0}}
SPEC = Header.of(header("r", "d", threat="linf:0.1")).spec


def line(sample, *, label=0, right=True, distance=0.1):
    return SampleRecord(
        id=sample, label=label, clean=[label if right else 9], adversarial=[9], margin=[-1.0], distance=distance, cost={},
        seconds=0.1, environment="e",
    )  # fmt: skip


def verdicts(lines):
    return {claim.check: (claim.value, claim.threshold, claim.verdict) for claim in finished_claims(SPEC, lines)}


def test_chance_is_the_share_of_the_most_frequent_label():
    """Of 40 images 16 have label 0, so that a constant answer reaches .4; Wilson's lower end of 30 of 40 is .598."""
    labels = [0] * 16 + [1] * 12 + [2] * 12
    good = [line(k, label=label, right=k % 4 > 0) for k, label in enumerate(labels)]
    assert verdicts(good)["above chance"] == (0.75, 0.4, "passed")
    constant = [line(k, label=label, right=label == 0) for k, label in enumerate(labels)]
    assert verdicts(constant)["above chance"] == (0.4, 0.4, "failed")
    assert verdicts(good[:29])["above chance"][2] == "not measured"
    assert verdicts([line(k) for k in range(40)])["above chance"][2] == "not measured"


@pytest.mark.parametrize(("distance", "verdict"), [(0.1, "passed"), (0.1000009, "passed"), (0.101, "failed")])
def test_the_ball_is_held_against_the_largest_distance(distance, verdict):
    found = verdicts([line(0, distance=0.05), line(1, distance=distance)])["ball and box"]
    assert found == (distance, 0.1, verdict)


def test_differences_are_relative_to_the_largest_logit_or_to_one():
    assert difference(torch.tensor([[0.5, 0.25]]), torch.tensor([[0.25, 0.25]])) == 0.25
    assert difference(torch.tensor([[4.0, -8.0]]), torch.tensor([[4.0, -10.0]])) == 0.25


def test_other_classes_are_not_alike_however_close_they_are():
    one, other = torch.tensor([[1.0, 1.00001]]), torch.tensor([[1.00001, 1.0]])
    assert alike("x", one, other, "").verdict == "failed"
    assert alike("x", one, one + 1e-5, "").verdict == "passed"
    assert alike("x", one, one + torch.tensor([[0.0, 1e-3]]), "").verdict == "failed"


def test_one_that_seeds_is_seen_even_where_the_state_is_its_own_already():
    def scorer(x, noise):
        torch.manual_seed(0)  # noqa: TID251 - what has to be seen
        return x

    with restored():
        torch.manual_seed(0)  # noqa: TID251
        claims = repetition(scorer, torch.ones(2, 2), Noise(0, torch.arange(2)))
    assert [claim.check for claim in claims if claim.verdict == "failed"] == ["global state"]


def test_networks_are_found_wherever_a_part_holds_them():
    class Part:
        def __init__(self, network):
            self.inner = {"a": [network]}

    resting = nn.Sequential(nn.Linear(1, 1), nn.Dropout()).eval()
    assert modes(defense=Part(resting)).verdict == "passed"
    resting[1].train()
    assert modes(defense=Part(resting)).value == ["defense.inner.a.0.1"]


def test_operations_are_seen_inside_and_their_precision_too():
    def found(function):
        return {claim.check: claim.value for claim in operations(function)}

    x = torch.ones(2, 2)
    with torch.random.fork_rng(devices=[]):
        seen = found(lambda: torch.rand(2).half())
    assert (seen["precision"], seen["random operations"]) == (["float16"], ["rand"])
    seen = found(lambda: (x @ x).relu().double())
    assert (seen["precision"], seen["random operations"]) == ([], [])
    assert torch.rand(1).dtype is torch.float32  # and nothing is watched any more


@pytest.mark.parametrize(
    ("attacked", "scored", "claimed", "votes", "verdict"),
    [(4, 4, None, 1, "passed"), (4, 8, None, 1, "failed"), (4, 4, 4, 1, "passed"), (40, 40, 4, 10, "passed"), (4, 4, 5, 1, "failed")],
)  # fmt: skip
def test_passes_under_attack_in_the_score_and_as_claimed(attacked, scored, claimed, votes, verdict):
    class Claims:
        evaluations = claimed

    counts = [{"score_forward": number} for number in (attacked, scored)]
    assert work(Claims(), *counts, votes).verdict == verdict


def test_only_failures_are_failures():
    claims = [{"check": name, "verdict": name, "meaning": ""} for name in ("passed", "failed", "not measured")]
    assert failed_checks(Checks.model_validate({"claims": claims})) == ["failed"]


class Flat:
    """A score model for counting."""

    low = 0.0

    def denoise(self, y, sigma):
        return 0.9 * y + 0.05


@pytest.mark.parametrize(
    "name", [name for name in TABLE if takes(make_registry().find("defenses", name).load(), "score")]
)
def test_built_in_purifiers_take_the_passes_that_they_claim(name):
    found, tally = make_registry().find("defenses", name), Tally()
    defense = found.load()(score=CountedScoreModel(Flat(), tally), **{**found.entry.args, **FEW.get(name, {})})
    tally.begin((7,), 1)
    defense.purify(torch.full((1, 1, 4, 4), 0.5), Noise(0, torch.tensor([7])))
    assert tally.of(7)["score_forward"] == defense.evaluations > 0
