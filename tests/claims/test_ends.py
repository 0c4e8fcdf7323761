"""The derivative of black and white pixels: kinks on the border are seen, their twins pass, and so does every built-in purifier."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import traps
from refused import refused

from bench.claims.ends import INWARD, at_the_ends, inward, inward_error, with_ends
from bench.claims.gradient import central, one_sided
from bench.claims.twin import Twin, interior, twin_of
from bench.cli.main import main
from bench.defended import DefendedClassifier
from bench.gradient import clamp
from bench.machine.device import pick_device
from bench.noise import Noise
from bench.plan.plan import Request, plan
from bench.registry.tables import make_registry
from bench.run.worker import Worker
from bench.testing import check_defense, default_images
from bench.threat import ThreatModel
from defenses import TABLE
from leaderboards.boards import collect

NOISE = Noise(3, torch.arange(4))
HERE = f"{__file__}:"
CHECK = "gradient at the ends"


class Purifier:
    """A function of the images."""

    deterministic: ClassVar[bool] = True

    def __init__(self, function):
        self.function = function

    def purify(self, x, noise):
        return self.function(x)


class Kinked(Purifier):
    """A clamp that leaves black pixels black."""

    def __init__(self):
        super().__init__(lambda x: (0.98 * x).clamp(0, 1))


class Twinned(Purifier):
    """The same values."""

    def __init__(self):
        super().__init__(lambda x: clamp(0.98 * x))


class Average(torch.nn.Module):
    """Two logits: the mean, and a half."""

    def forward(self, x):
        return torch.stack([x.mean(dim=(1, 2, 3)), torch.full_like(x[:, 0, 0, 0], 0.5)], dim=1)


def twin(function, classifier=None):
    x = interior(default_images(4), NOISE)
    model = DefendedClassifier(classifier or Average(), Purifier(function), chunk=4)
    return Twin(model, x, NOISE)


def error(function):
    one = twin(function)
    return inward_error(one.model, one.x, one.noise)


def blur(x):
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


def median(x):
    return F.pad(x, (1, 1, 1, 1), mode="replicate").unfold(2, 3, 1).unfold(3, 3, 1).flatten(4).median(dim=4).values


def stretch(x):
    low, high = x.amin(dim=(1, 2, 3), keepdim=True), x.amax(dim=(1, 2, 3), keepdim=True)
    return (x - low) / (high - low + 1)


def test_the_images_have_flat_parts_at_both_ends_and_scattered_pixels_of_either():
    x = with_ends(torch.full((8, 2, 100, 70), 0.5), Noise(0, torch.arange(8)))
    assert x[..., :33, :].eq(0).all()
    assert x[..., 67:, :].eq(1).all()
    for end in (0, 1):
        assert float(x[..., 33:67, :].eq(end).float().mean()) == pytest.approx(0.1, abs=0.005)


def test_the_scattered_pixels_depend_on_the_image_alone():
    x = torch.full((4, 1, 9, 9), 0.5)
    assert torch.equal(with_ends(x, NOISE)[2:3], with_ends(x[2:3], NOISE[2:3]))
    assert not torch.equal(with_ends(x, NOISE)[0], with_ends(x, NOISE)[1])


@pytest.mark.parametrize("height", [1, 2, 3])
def test_the_smallest_images_have_ends_too(height):
    x = with_ends(torch.full((4, 1, height, 1), 0.5), NOISE)
    assert bool(((x == 0) | (x == 1)).flatten(1).any(dim=1).all())


def test_equal_pixels_move_by_the_same_and_inward():
    x = with_ends(interior(default_images(4), NOISE), NOISE)
    way = inward(x, NOISE)
    assert torch.equal(way[0], inward(x[:1], NOISE[:1])[0])
    for image, move in zip(x, way, strict=True):
        black, white, rest = (move[part].unique() for part in (image == 0, image == 1, (image > 0) & (image < 1)))
        assert (len(black), len(white), rest.tolist()) == (1, 1, [0])
        assert 1 <= float(black) <= 2
        assert -2 <= float(white) <= -1
        assert black != -white


def test_quotients_of_a_parabola_are_exact_and_one_sided_ones_look_to_one_side():
    def parabola(t):
        return torch.tensor(1 + 2 * t + 3 * t * t, dtype=torch.float64)

    assert float(central(parabola, 0.1)) == pytest.approx(2)
    assert float(one_sided(parabola, 0.1)) == pytest.approx(2)
    assert float(one_sided(lambda t: torch.tensor(max(t, 0.0)), 0.1)) == pytest.approx(1)
    assert float(one_sided(lambda _: torch.tensor(0.3, dtype=torch.float64), 1e-8)) == 0


def test_the_error_is_the_share_of_the_slope_that_is_lost():
    """Under the mean, white pixels weigh against black ones: of a slope of `black + white`, losing all black leaves `white`."""
    one = twin(lambda x: 0.98 * x.clamp_min(0))
    way = inward(with_ends(one.x, NOISE), NOISE).flatten(1)
    black, white = way.clamp_min(0).sum(dim=1), way.clamp_max(0).sum(dim=1)
    expected = black / torch.maximum((black + white).abs(), white.abs())
    assert inward_error(one.model, one.x, NOISE) == pytest.approx(float(expected.max()), rel=1e-6)


KINKS = {
    "clamp": (lambda x: (0.98 * x).clamp(0, 1), lambda x: clamp(0.98 * x)),
    "clamp of the other end": (lambda x: (0.98 * x + 0.02).clamp(0, 1), lambda x: clamp(0.98 * x + 0.02)),
    "clamp after a blur": (lambda x: blur(blur(x)).clamp(0, 1), lambda x: clamp(blur(blur(x)))),
    "hardtanh": (lambda x: F.hardtanh(x, 0, 1), clamp),
    "relu": (lambda x: torch.relu(0.9 * x), lambda x: 0.9 * x),
    "one minus relu": (lambda x: 1 - torch.relu(1 - x), lambda x: x),
    "relu6": (lambda x: F.relu6(6 * x) / 6, lambda x: x),
    "clamp to [-1, 1]": (lambda x: ((2 * x - 1).clamp(-1, 1) + 1) / 2, lambda x: (clamp(2 * x - 1, -1, 1) + 1) / 2),
    "minimum and maximum": (lambda x: torch.minimum(torch.maximum(x, torch.zeros_like(x)), torch.ones_like(x)), lambda x: x),
    "norm": (lambda x: 0.9 * torch.linalg.vector_norm(x[None], dim=0), lambda x: 0.9 * x),
    "absolute value": (lambda x: x.abs(), lambda x: x),
    "threshold": (lambda x: F.threshold(x, 0.0, 0.0), lambda x: x),
}  # fmt: skip


@pytest.mark.parametrize("name", KINKS)
def test_a_kink_on_the_border_fails_and_its_twin_of_the_same_values_passes(name):
    kinked, honest = KINKS[name]
    x = with_ends(interior(default_images(4), NOISE), NOISE)
    torch.testing.assert_close(kinked(x), honest(x), rtol=0, atol=1e-15)
    assert error(kinked) > 100 * INWARD
    assert error(honest) < 1e-6
    assert (at_the_ends(twin(kinked)).verdict, at_the_ends(twin(honest)).verdict) == ("failed", "passed")


@pytest.mark.parametrize(
    "function", [median, stretch, lambda x: F.max_pool2d(x, 3, 1, 1), lambda x: x.sort(dim=3).values]
)
def test_kinks_between_equal_pixels_are_no_fault(function):
    assert error(function) < 1e-6


@pytest.mark.parametrize(
    "function",
    [lambda x: torch.sigmoid(60 * (x - 0.5)), lambda x: x**3, lambda x: 0.5 + 0 * x, lambda x: (8 * x).round() / 8],
)
def test_a_derivative_that_is_truly_near_zero_there_is_no_fault(function):
    assert error(function) < INWARD


def test_without_a_copy_in_double_nothing_is_measured():
    claim = at_the_ends(None)
    assert (claim.check, claim.value, claim.threshold, claim.verdict) == (CHECK, None, INWARD, "not measured")


def test_what_stops_in_double_is_not_measured():
    def refuses(x):
        raise TypeError("float32 only")

    assert at_the_ends(twin(refuses)).verdict == "not measured"


def planned(defense, dataset, classifier, threat="linf:0.06", **arguments):
    request = Request(
        defense=defense, attack="pgd-full", dataset=dataset, classifier=classifier, threat=ThreatModel.parse(threat),
        arguments={"attacks": {"steps": 1}, "defenses": arguments},
    )  # fmt: skip
    return plan(request, make_registry())


SMALL = {"diffpure": {"steps": 2}, "diffpure-ddpm": {"steps": 2}, "diffpure-ode": {"steps": 2}, "gdmp": {"rounds": 1, "steps": 2}, "adp": {"steps": 2, "votes": 2}, "scoreopt": {"steps": 5}}  # fmt: skip


def differentiable(name):
    return getattr(make_registry().find("defenses", name).load(), "differentiable", True)


@pytest.mark.parametrize("name", [name for name in TABLE if differentiable(name)])
def test_built_in_purifiers_pass(name):
    one = planned(name, "fashion-mnist", None, **SMALL.get(name, {}))
    worker = Worker(one, pick_device("cpu"), 4, lambda *_: None)
    _, x, _, noise = worker.look(one.gradient, np.arange(4))
    claim = at_the_ends(twin_of(one, x, noise, 4))
    assert (claim.verdict, claim.value < INWARD / 10) == ("passed", True)


def test_a_gradient_that_is_wrong_everywhere_is_not_measured_at_the_ends_as_well():
    """The kinked one fails at the ends alone, its twin nowhere, and where the gradient fails its ends are left open."""
    verdicts = {}
    for name in ("Kinked", "Twinned", "Detached"):
        one = planned(HERE + name, f"{traps.__file__}:images", f"{traps.__file__}:Linear")
        claims = Worker(one, pick_device("cpu"), 4, lambda *_: None).claims()["claims"]
        verdicts[name] = {claim["check"]: claim["verdict"] for claim in claims if claim["verdict"] != "passed"}
    assert verdicts == {
        "Kinked": {CHECK: "failed"},
        "Twinned": {},
        "Detached": {"gradient": "failed", CHECK: "not measured"},
    }


class Detached(Purifier):
    """Half of it is unseen."""

    def __init__(self):
        super().__init__(lambda x: 0.5 * x + 0.5 * x.detach())


def test_the_record_says_so_and_the_board_flags_it(tmp_path, capsys):
    words = f"--defense {HERE}Kinked --attack pgd-full -A steps=1 -n 4 --dataset {traps.__file__}:images --classifier {traps.__file__}:Linear"
    assert (
        main(
            [
                "run",
                *words.split(),
                "--threat",
                "linf:0.06",
                "--device",
                "cpu",
                "--quiet",
                "--results",
                str(tmp_path),
                "--json",
            ]
        )
        == 0
    )
    summary = json.loads(capsys.readouterr().out)
    assert [claim["check"] for claim in summary["checks"]["claims"] if claim["verdict"] == "failed"] == [CHECK]
    assert main(["show", summary["run_id"], "--results", str(tmp_path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"FAILED: {CHECK}" in shown
    assert "use bench.gradient.clamp" in shown
    (board,) = collect(tmp_path)
    assert [f"{CHECK}: failed" in row.flags for row in board.every] == [True]


@pytest.mark.parametrize("name", ["clamp", "hardtanh", "norm"])
def test_the_kit_fails_it_and_says_what_to_use(name):
    kinked, honest = KINKS[name]
    with refused("contract-broken", match=r"bench\.gradient\.clamp") as caught:
        check_defense(Purifier(kinked))
    assert [check.name for check in caught.value.checks if check.problem] == ["full gradient"]
    assert not any(check.problem for check in check_defense(Purifier(honest)))
