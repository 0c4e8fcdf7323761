"""Votes after the classifier, and the certificate of randomized smoothing."""

from __future__ import annotations

import math
import re
from statistics import NormalDist
from typing import ClassVar

import pytest
import torch
from refused import refused
from torch import nn

from bench.cli.main import main
from bench.defended import DefendedClassifier
from bench.errors import AttackError
from bench.figures.summary import summarise
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.passes import Tally
from bench.records.lookup import record_paths
from bench.records.record import read_record
from bench.run.certificate import SELECTION, certified_radii
from bench.stats.intervals import lower_bound
from defenses.smoothing import Smoothing

COUNT = 4
NOISE = Noise(2, torch.arange(COUNT))
X = torch.linspace(0.3, 0.7, COUNT * 6, dtype=torch.float64).view(COUNT, 1, 2, 3)
Y = torch.tensor([0, 1, 0, 1])


class Noisy:
    deterministic: ClassVar[bool] = False

    def __init__(self, votes=1):
        self.votes = votes

    def purify(self, x, noise):
        return x + 0.2 * noise.normal(x)


class Linear(nn.Module):
    def __init__(self, pixels=6):
        super().__init__()
        self.slope = Noise(7, torch.arange(3), "check").normal(torch.empty(3, pixels, dtype=torch.float64))

    def forward(self, x):
        return (x.flatten(1) - 0.5) @ self.slope.T


def by_hand(x, noise, votes):
    """The mean over draws `votes * d ...` of the class probabilities."""
    shares = [Linear()(x + 0.2 * noise.at(noise.draw * votes + v).normal(x)).softmax(dim=1) for v in range(votes)]
    return torch.stack(shares).mean(dim=0).log()


@pytest.mark.parametrize("draw", [0, 3])
@pytest.mark.parametrize("chunk", [2, 3, 16])
def test_logits_are_the_logarithm_of_the_mean_probability(chunk, draw):
    model = DefendedClassifier(Linear(), Noisy(votes=5), chunk=chunk)
    torch.testing.assert_close(model(X, NOISE.at(draw)), by_hand(X, NOISE.at(draw), 5))


def test_draws_of_one_prediction_are_shared_with_no_other():
    numbers = [set(NOISE.at(draw).ballots(4).draw.tolist()) for draw in range(3)]
    assert numbers == [{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}]
    tensor = Noise(2, torch.arange(2), draw=torch.tensor([1, 5])).ballots(2)
    assert tensor.draw.tolist() == [2, 10, 3, 11]
    assert tensor.ids.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_how_many_votes_share_a_call_changes_nothing(rows):
    expected = by_hand(X, NOISE, 5)
    tally = Tally()
    model = DefendedClassifier(Linear(), Noisy(votes=5), chunk=3, tally=tally, voting_rows=rows)
    torch.testing.assert_close(model(X, NOISE), expected)
    assert [tally.of(k)["classifier_forward"] for k in range(COUNT)] == [5] * COUNT


def test_several_draws_and_their_gradient_are_those_of_the_mean():
    model, leaf = DefendedClassifier(Linear(), Noisy(votes=3), chunk=4), X.clone().requires_grad_()
    logits, _, gradient = model.expect(X, Y, NOISE.spread(2), lambda logits, y: logits[:, 0])
    parts = torch.stack([by_hand(leaf, NOISE.at(draw), 3) for draw in range(2)])
    torch.testing.assert_close(logits, parts.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(parts[..., 0].sum() / 2, leaf)[0])


def test_the_straight_through_gradient_goes_through_each_vote():
    model, leaf = (
        DefendedClassifier(Linear(), Noisy(votes=3), chunk=4, mode=GradientMode.BPDA),
        X.clone().requires_grad_(),
    )
    _, _, gradient = model.differentiate(X, Y, NOISE, lambda logits, y: logits[:, 0])
    torch.testing.assert_close(gradient, torch.autograd.grad(by_hand(leaf, NOISE, 3)[:, 0].sum(), leaf)[0])


def test_a_blind_attacker_sees_no_votes_and_one_that_carries_vectors_is_refused():
    blind = DefendedClassifier(Linear(), Noisy(votes=3), mode=GradientMode.BLIND)
    torch.testing.assert_close(blind(X, NOISE), Linear()(X))
    with refused("attack-votes", kind=AttackError):
        DefendedClassifier(Linear(), Noisy(votes=3)).pull_back(X, NOISE, X)
    DefendedClassifier(Linear(), Noisy()).pull_back(X, NOISE, X)


@pytest.mark.parametrize("votes", [1, 100])
def test_more_votes_come_closer_to_the_expectation(votes):
    """Two classes of logits (s, 0) under noise: the mean probability is an integral, here by quadrature."""

    class Two(nn.Module):
        def forward(self, x):
            return torch.cat(
                [6 * (x.mean(dim=(1, 2, 3), keepdim=True) - 0.5).flatten(1), x.flatten(1)[:, :1] * 0], dim=1
            )

    x = torch.full((400, 1, 1, 1), 0.6, dtype=torch.float64)
    chances = DefendedClassifier(Two(), Noisy(votes=votes), chunk=400)(x, Noise(2, torch.arange(400))).softmax(1)[:, 0]
    nodes = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    weight = torch.exp(-(nodes**2) / 2)
    exact = float((weight * torch.sigmoid(6 * (0.1 + 0.2 * nodes))).sum() / weight.sum())
    spread = float(chances.std())
    assert float(chances.mean()) == pytest.approx(exact, abs=4 * spread / 20)
    assert (spread < 0.03) == (votes == 100)


def test_lower_bound_of_a_share():
    """All of n: alpha^(1/n); none: 0; 90 of 100 against the chance of so many hits at the bound."""
    assert lower_bound(1000, 1000, 0.001) == pytest.approx(0.001 ** (1 / 1000))
    assert lower_bound(0, 10, 0.05) == 0.0
    p = lower_bound(90, 100, 0.01)
    tail = sum(math.comb(100, k) * p**k * (1 - p) ** (100 - k) for k in range(90, 101))
    assert tail == pytest.approx(0.01, rel=1e-9)


def test_the_radius_is_that_of_the_paper():
    """1000 of 1000 draws agree: `sigma Phi^-1(.001^(1/1000))`; half of them abstain."""
    defense = Smoothing(sigma=0.25)
    assert defense.certified_radius(1000) == pytest.approx(0.25 * NormalDist().inv_cdf(0.001**0.001))
    assert defense.certified_radius(1000) == pytest.approx(0.6158, abs=1e-4)
    assert defense.certified_radius(500) == 0.0


class Wall(nn.Module):
    """Two classes on either side of a plane: the true radius of an image is its distance from it."""

    def __init__(self):
        super().__init__()
        self.slope = Noise(9, torch.arange(1), "check").normal(torch.empty(1, 16, dtype=torch.float64))[0]
        self.slope /= self.slope.norm()

    def forward(self, x):
        side = (x.flatten(1) - 0.5) @ self.slope
        return torch.stack([side, -side], dim=1)


def test_certificates_of_a_linear_classifier_stay_below_the_true_radius_and_come_near_it():
    x = 0.4 + 0.2 * Noise(1, torch.arange(60), "check").uniform(torch.empty(60, 1, 4, 4, dtype=torch.float64))
    distances = Wall()(x)[:, 0]
    defense = Smoothing(sigma=0.05, certify=500)
    model = DefendedClassifier(Wall(), defense, chunk=60)
    tally = model.tally
    radii = torch.tensor(certified_radii(model, x, (distances < 0).long(), Noise(0, torch.arange(60))))
    true = distances.abs()
    within = true < 0.1  # beyond 2 sigma every draw agrees, and the bound is that of the number of draws
    assert (radii <= true + 1e-12).all()
    assert float((true - radii)[within].max()) < 0.02
    assert float(radii.max()) < defense.certified_radius(500) + 1e-12
    assert tally.of(0)["classifier_forward"] == 0
    wrong = certified_radii(model, x, (distances >= 0).long(), Noise(0, torch.arange(60)))
    assert wrong == [0.0] * 60


def test_the_certificates_draws_are_of_their_own_purpose_and_asked_once_each():
    asked = []

    class Watched(Smoothing):
        def purify(self, x, noise):
            asked.append((noise.purpose, sorted(set(noise.draw.tolist()))))
            return super().purify(x, noise)

    model = DefendedClassifier(Wall(), Watched(certify=20), chunk=1000)
    certified_radii(model, torch.full((2, 1, 4, 4), 0.5, dtype=torch.float64), Y[:2], NOISE[:2])
    assert {purpose for purpose, _ in asked} == {"certify"}
    assert set().union(*(numbers for _, numbers in asked)) == set(range(SELECTION + 20))


def test_the_draws_that_choose_the_class_are_not_counted_for_it():
    """The first hundred draws show one side of the wall, the others the other: no hit."""

    class Turns(Smoothing):
        def purify(self, x, noise):
            side = torch.where(noise.draw < SELECTION, 1.0, -1.0).view(-1, 1, 1, 1)
            return 0.5 + 0.1 * side * Wall().slope.view(1, 1, 4, 4)

        def certified_radius(self, hits):
            return float(hits)

    x = torch.full((2, 1, 4, 4), 0.5, dtype=torch.float64)
    model = DefendedClassifier(Wall(), Turns(certify=30), chunk=50)
    assert certified_radii(model, x, torch.zeros(2, dtype=torch.long), NOISE[:2]) == [0.0, 0.0]


def test_no_certificate_without_draws():
    assert certified_radii(DefendedClassifier(Wall(), Smoothing(certify=0)), X, Y, NOISE) is None
    assert certified_radii(DefendedClassifier(Wall(), Noisy()), X, Y, NOISE) is None


@pytest.mark.parametrize("arguments", [{"sigma": 0.0}, {"votes": 0}, {"certify": -1}, {"alpha": 1.0}])
def test_arguments_out_of_range_are_refused(arguments):
    with refused("smoothing-arguments"):
        Smoothing(**arguments)


def test_certificates_stand_in_the_lines_the_summary_and_the_table(tmp_path, capsys):
    words = ["--attack", "null", "-n", "3", "--draws", "2", "--results", str(tmp_path)]
    assert main(["run", "--defense", "smoothing", "-D", "certify=50", *words]) == 0
    text = capsys.readouterr().out
    assert re.search(r"certified  [\d.]+ % of the images; l2 radius [\d.]+ on average, median [\d.]+\n", text)
    assert "note    smoothing: noise of sigma 0.12 in pixel units; certified by 50 draws" in text
    record = read_record(record_paths(tmp_path)[0])
    radii = [line.certified for line in record.lines]
    assert max(radii) <= Smoothing(certify=50).certified_radius(50)
    summary = summarise(record, record.lines)
    assert summary["certified"]["mean_radius"] == pytest.approx(sum(radii) / 3)
    assert summary["certified"]["share"] == sum(radius > 0 for radius in radii) / 3
    assert main(["run", "--defense", "none", *words[:-4], *words[-2:]]) == 0
    plain = [line for path in record_paths(tmp_path) for line in (path / "samples.jsonl").read_text().splitlines()]
    assert sum('"certified"' in line for line in plain) == 3
    capsys.readouterr()
    assert main(["leaderboard", "--results", str(tmp_path)]) == 0
    table = [
        [cell.strip() for cell in line.split("|")]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("|")
    ]
    name, column = table[0].index("defense"), table[0].index("certified l2")
    cells = {row[name]: row[column] for row in table[2:4]}  # a table of runs follows
    assert cells == {"smoothing certify=50": f"{sum(radii) / 3:.3f}", "none": ""}
