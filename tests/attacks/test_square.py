"""Square Attack: shapes and schedule by hand, a linear classifier's optimum, and another implementation beside it."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from pyautoattack.square import SquareAttack
from refused import refused
from torch import nn

from attacks.square import square, work
from attacks.windows import Flips, Masses, mass
from bench.data.fashion_mnist import fashion_mnist
from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.margin import margin
from bench.models.embedded import fashion_mnist_classifier
from bench.noise import Noise
from bench.testing import default_images
from bench.threat import ThreatModel
from defenses.identity import Identity

LINF, L2 = ThreatModel.parse("linf:8/255"), ThreatModel.parse("l2:0.5")
COUNT = 6
NOISE = Noise(3, torch.arange(COUNT), "attack")


class Noisy:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return x + 0.25 * noise.normal(x)


class Linear(nn.Module):
    """The margin of class 0 is `w.(x - 1/2) + 10`, `w` smooth on a scale of four pixels."""

    def __init__(self):
        super().__init__()
        coarse = Noise(11, torch.arange(1), "check").normal(torch.empty(1, 1, 7, 7))
        self.weight = nn.functional.interpolate(coarse, scale_factor=4, mode="bicubic").flatten()

    def forward(self, x):
        score = (x.flatten(1) - 0.5) @ self.weight + 10
        return torch.stack([score, torch.zeros_like(score)], dim=1)


def linear(defense=None, **arguments):
    """View, images whose pixels lie in [0.45, 0.55], labels."""
    model = DefendedClassifier(Linear(), defense or Identity(), mode=GradientMode.NONE, chunk=COUNT, **arguments)
    return model, 0.45 + 0.1 * default_images(COUNT), torch.zeros(COUNT, dtype=torch.long)


def closed(x, adversarial, threat):
    """Share of the possible fall of the margin, `eps ||w||` in the dual norm."""
    weight = Linear().weight
    dual = weight.abs().sum() if threat.norm == "linf" else weight.norm()
    return (x - adversarial).flatten(1) @ weight / (threat.radius * dual)


def test_the_two_masses_of_three_pixels_by_hand():
    """Halves of 3 x 1 and 3 x 2, n = 1: 1 + 1/4 at their centres, 1/4 around."""
    shape = torch.tensor([[0.25, -0.25, -0.25], [1.25, -0.25, -1.25], [0.25, -0.25, -0.25]])
    torch.testing.assert_close(mass(3, shape), shape / shape.norm())


def test_windows_shrink_as_in_the_paper():
    """28 x 28 and p = 0.8: side sqrt(0.8 * 784) = 25.04, and after each halving of p; l2 takes odd ones from 3 on."""
    x = torch.zeros(1, 1, 28, 28)
    queries = [0, 6, 26, 101, 251, 501, 1001, 2001, 3001, 4001]
    flips, masses = Flips(x, LINF, 0.8, 5000), Masses(x, L2, 0.8, 5000)
    assert [flips.side(k) for k in queries] == [25, 18, 13, 9, 6, 4, 3, 2, 2, 1]
    assert [masses.side(k) for k in queries] == [25, 19, 13, 9, 7, 5, 3, 3, 3, 3]
    assert [flips.side(k) for k in (5, 25)] == [25, 18]
    assert Flips(x, LINF, 0.8, 500).side(401) == 1


def test_linf_starts_with_vertical_stripes_on_the_border_of_the_ball():
    x = torch.full((2, 3, 8, 8), 0.5)
    delta = Flips(x, LINF, 0.8, 10).start(NOISE[:2].of("start")) - x
    assert torch.equal(delta, delta[:, :, :1].expand_as(delta))
    torch.testing.assert_close(delta.abs(), torch.full_like(delta, 8 / 255))
    assert len(delta.sign().flatten(2)[:, :, :8].unique(dim=1)[0]) == 3


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 14), (2, 2, 2)])
def test_l2_moves_use_the_whole_radius_while_no_pixel_is_clamped(shape):
    x = torch.full((COUNT, *shape), 0.5, dtype=torch.float64)
    windows = Masses(x, ThreatModel.parse("l2:0.1"), 0.8, 100)
    z = windows.start(NOISE.of("start"))
    for k in range(1, 20):
        u = NOISE.of("tries").after(k).uniform(torch.empty(COUNT, 5 + shape[0]))
        z = windows.move(torch.arange(COUNT), x + (z - x) / 2, u, k)
        torch.testing.assert_close((z - x).flatten(1).norm(dim=1), x.new_full((COUNT,), 0.1))


def test_windows_reach_every_corner():
    windows = Flips(torch.zeros(1, 1, 6, 9), LINF, 0.8, 10)
    ends = torch.tensor([[0.0, 0.0], [1 - 2**-24, 1 - 2**-24]])
    where = windows.window(ends, 2)
    assert where[:, 0].tolist() == [[0, 1, 9, 10], [43, 44, 52, 53]]


@pytest.mark.parametrize(("text", "least"), [("linf:0.001", 0.95), ("l2:0.02", 0.7)])
def test_a_linear_classifier_whose_optimum_is_known(text, least):
    """The ball is so small that nothing breaks. Windows of three pixels and more cannot trace `w`, so l2 stays behind."""
    model, x, y = linear()
    threat = ThreatModel.parse(text)
    adversarial = square(model, x, y, threat, NOISE, queries=5000)
    assert margin(model(adversarial, NOISE), y).min() > 0
    assert closed(x, adversarial, threat).mean() >= least


@pytest.mark.parametrize(("text", "norm"), [("linf:0.001", "Linf"), ("l2:0.02", "L2")])
def test_a_linear_classifier_falls_as_far_as_under_another_implementation(text, norm):
    model, x, y = linear()
    threat = ThreatModel.parse(text)
    mine = closed(x, square(model, x, y, threat, NOISE, queries=1000), threat)
    other = SquareAttack(model.network, norm=norm, eps=threat.radius, n_queries=1000, seed=0, device="cpu")
    other.init_hyperparam(x)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # noqa: TID251 - theirs draws from it
        theirs = closed(x, other.attack_single_run(x.clone(), y.clone())[1], threat)
    assert mine.mean() >= theirs.mean() - 0.02


@pytest.mark.parametrize(("text", "norm"), [("linf:12/255", "Linf"), ("l2:1", "L2")])
def test_a_network_is_as_robust_as_under_another_implementation(text, norm):
    """Half of the images break, where a difference would show."""
    data = fashion_mnist()
    x, y = torch.from_numpy(data.floats(slice(0, 32))), torch.from_numpy(data.labels[:32])
    model = DefendedClassifier(fashion_mnist_classifier(), Identity(), mode=GradientMode.NONE, chunk=32)
    noise = Noise(0, torch.arange(32), "attack")
    rows = (model(x, noise).argmax(dim=1) == y).nonzero()[:, 0]
    x, y, noise, threat = x[rows], y[rows], noise[rows], ThreatModel.parse(text)
    other = SquareAttack(model.network, norm=norm, eps=threat.radius, n_queries=200, seed=0, device="cpu")
    with torch.random.fork_rng(devices=[]):
        theirs = other.perturb(x.clone(), y.clone())
    mine = square(model, x, y, threat, noise, queries=200)
    standing = [int((margin(model(points, noise), y) >= 0).sum()) for points in (mine, theirs)]
    assert abs(standing[0] - standing[1]) <= 2
    assert standing[0] < len(x) - 5


def test_fresh_draws_do_not_blind_it():
    """The defense moves the margin by more than the whole ball does; the lowest margin so far would be luck."""
    model, x, y = linear(Noisy())
    threat = ThreatModel.parse("linf:0.001")
    assert closed(x, square(model, x, y, threat, NOISE, queries=1000), threat).min() >= 0.75


@pytest.mark.parametrize("eot", [1, 3])
@pytest.mark.parametrize("budget", [None, 13])
def test_no_image_rests_under_fresh_draws_and_work_says_what_it_does(eot, budget):
    model, x, y = linear(Noisy())
    square(model, x, y, LINF, NOISE, queries=7, restarts=2, eot=eot, budget=budget)
    said = work(deterministic=False, classes=2, queries=7, restarts=2, p=0.8, eot=eot, budget=budget)
    queries = {(1, None): 6, (3, None): 6, (1, 13): 6, (3, 13): 2}[eot, budget]
    assert said.evaluations == 2 * (queries * eot + 10)
    assert [model.tally.of(k)["classifier_forward"] for k in range(COUNT)] == [said.evaluations] * COUNT


def test_a_broken_image_rests_and_work_says_what_the_others_cost():
    """Image 0 has the other label, so its first query breaks it; the others cannot be broken."""
    model, x, y = linear()
    y[0] = 1
    square(model, x, y, ThreatModel.parse("linf:0.001"), NOISE, queries=9, restarts=2)
    said = work(deterministic=True, classes=2, queries=9, restarts=2, p=0.8, eot=1, budget=None)
    assert said.evaluations == 18
    assert [model.tally.of(k)["classifier_forward"] for k in range(COUNT)] == [1, 18, 18, 18, 18, 18]


def test_known_draws_are_attacked_jointly():
    model, x, y = linear(Noisy(), known=3)
    threat = ThreatModel.parse("linf:0.001")
    adversarial = square(model, x, y, threat, NOISE, queries=500)
    assert model.tally.of(0)["classifier_forward"] == 1500
    clean, attacked = (
        margin(model.sample(z, NOISE.of("score").at(0).spread(3)).flatten(0, 1), y.repeat(3)) for z in (x, adversarial)
    )
    assert (attacked < clean).all()


def test_more_restarts_do_not_hurt():
    model, x, y = linear()
    one, three = (closed(x, square(model, x, y, L2, NOISE, queries=20, restarts=k), L2) for k in (1, 3))
    assert (three >= one - 1e-6).all()
    assert (three > one).any()


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("square-arguments", {"queries": 0}),
        ("square-arguments", {"restarts": 0}),
        ("square-arguments", {"eot": 0}),
        ("square-arguments", {"p": 0.0}),
        ("square-arguments", {"p": 1.5}),
        ("square-budget", {"budget": 1, "restarts": 2}),
    ],
)
def test_it_refuses_arguments_out_of_range(code, arguments):
    model, x, y = linear()
    with refused(code):
        square(model, x, y, LINF, NOISE, **arguments)


def test_it_refuses_l1_and_names_what_can():
    model, x, y = linear()
    with refused("square-norm"):
        square(model, x, y, ThreatModel.parse("l1:1"), NOISE)
