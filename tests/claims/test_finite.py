"""Gradients that are not finite: mended for the attack, counted, claimed, flagged, not ranked; no attack makes an image of them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from records_for_tables import header, line, record
from refused import refused
from torch import nn

from attacks import apgd, cw, diffhammer, pgd
from attacks.wrapped import KeyedRows
from bench.ball import project, steepest
from bench.cli.main import main
from bench.defended import DefendedClassifier
from bench.errors import AttackError
from bench.gradient import usable
from bench.noise import Noise
from bench.records.record import read_record
from bench.records.writer import RecordWriter
from bench.spoiled import GRADIENT, IMAGE, Spoiled
from bench.testing import check_defense
from bench.threat import ThreatModel
from leaderboards.boards import collect

PLANTS = Path(__file__).parent.parent / "plants"
SUPPORT = PLANTS.parent / "support"
_SPEC = importlib.util.spec_from_file_location("plants_not_finite", SUPPORT / "not_finite.py")
traps = sys.modules[_SPEC.name] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(traps)
NAN, INF = float("nan"), float("inf")
THREATS = [ThreatModel.parse(text) for text in ("linf:0.1", "l2:0.5", "l1:2")]


def pixels(*values, dtype=torch.float32):
    return torch.tensor(values, dtype=dtype).view(1, 1, 1, -1)


# One gradient


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((1.0, -2.0, 0.0), (1.0, -2.0, 0.0)),
        ((NAN, -2.0, 0.5), (0.0, -2.0, 0.5)),
        ((NAN, NAN, NAN), (0.0, 0.0, 0.0)),
        ((INF, -2.0, -INF), (2.0, -2.0, -2.0)),
        ((INF, NAN, 3e38), (1.0, 0.0, 1.0)),
        ((-INF, 0.0, NAN), (-1.0, 0.0, 0.0)),
        ((INF, 1e19, -1e18), (1e19, 1e19, -1e18)),
        ((INF, 1.5e19, -3e18), (1.0, 1.0, -0.2)),
        ((1e30, -2e30, 0.0), (0.5, -1.0, 0.0)),
        ((NAN, -2e30, 1e30), (0.0, -1.0, 0.5)),
        ((1e19, -1e18, 0.0), (1e19, -1e18, 0.0)),
    ],
)
def test_what_an_attack_follows_in_place_of_a_gradient_that_is_not_finite(given, expected):
    """NaN is 0; infinities are as large as the largest finite entry; what overflows in the norm is divided by its largest entry."""
    together = torch.cat([pixels(1.0, 2.0, 3.0), pixels(*given)])
    assert usable(together).flatten().tolist() == pytest.approx([1, 2, 3, *expected])
    assert torch.equal(usable(together)[0], together[0])


def test_the_norm_overflows_later_in_double_precision():
    given = pixels(1e30, -2e30, 0.0, dtype=torch.float64)
    assert usable(given) is given
    assert usable(1e200 * given).flatten().tolist() == [0.5, -1, 0]


@pytest.mark.parametrize("threat", THREATS, ids=str)
@pytest.mark.parametrize("entry", [1e-45, 1e-30, 1e-10, 1.0, 1e10, 1e19, 1e30, 3e38])
def test_steepest_directions_have_unit_norm_whatever_the_size(threat, entry):
    """Norms of squares underflow below 1e-19 and overflow above 1e19 in float32; the direction of (3, -4) is known."""
    direction = steepest(torch.full((1, 1, 28, 28), entry), threat)
    order = {"linf": INF, "l2": 2, "l1": 1}[threat.norm]
    assert float(torch.linalg.vector_norm(direction.flatten(), ord=order)) == pytest.approx(1, rel=1e-5)
    assert (direction >= 0).all()


@pytest.mark.parametrize("threat", THREATS, ids=str)
@pytest.mark.parametrize(
    "values", [(NAN, 1.0), (INF, 1.0), (-INF, NAN), (NAN, NAN), (0.0, 0.0), (3e38, 1e-45), (1e-45, 0.0)]
)
def test_no_step_makes_an_image_that_is_not_finite(threat, values):
    start = torch.full((1, 1, 1, 2), 0.5)
    moved = project(start + threat.radius * steepest(pixels(*values), threat), start, threat)
    assert torch.isfinite(moved).all()
    assert moved.min() >= 0
    assert moved.max() <= 1


@pytest.mark.parametrize("threat", THREATS, ids=str)
@pytest.mark.parametrize("far", [1e9, 1e20, 3e38])
def test_projections_of_far_points_are_finite(threat, far):
    start = torch.full((1, 1, 1, 4), 0.5)
    assert torch.isfinite(project(start + far, start, threat)).all()


def test_ordinary_directions_keep_their_bits():
    g = Noise(0, torch.arange(64)).normal(torch.empty(64, 1, 28, 28)) * torch.logspace(-12, 12, 64).view(-1, 1, 1, 1)
    length = torch.linalg.vector_norm(g, dim=(1, 2, 3), keepdim=True)
    assert torch.equal(steepest(g, THREATS[1]), g / length)
    assert torch.equal(steepest(g, THREATS[0]), g.sign())
    assert usable(g) is g


# The view


class Identity:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return x


class NoisyRoot:
    """NaN at black pixels under every draw."""

    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return x.sqrt() ** 2 + 0.01 * noise.normal(x)


class Sums(nn.Module):
    """Three classes by fixed weights."""

    def __init__(self):
        super().__init__()
        self.weight = Noise(3, torch.arange(16), "check").normal(torch.empty(16, 1, 1, 3)).flatten(1)

    def forward(self, x):
        return x.flatten(1) @ self.weight.to(x)


def black(count=5, dtype=torch.float32):
    """Grey images, of which every second has two black pixels."""
    x = (0.5 + 0.05 * torch.arange(count, dtype=dtype)).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).clone()
    x[::2, :, 0, :2] = 0
    return x


IDS = torch.arange(40, 45)
Y = torch.zeros(5, dtype=torch.long)


def total(logits, y):
    return logits.square().sum(dim=1)


@pytest.mark.parametrize("chunk", [2, 3, 16])
def test_each_image_counts_its_own_gradients_and_padding_none(chunk):
    model = DefendedClassifier(Sums(), traps.Root(), chunk=chunk)
    _, _, gradient = model.differentiate(black(), Y, Noise(0, IDS), total)
    assert torch.isfinite(gradient).all()
    assert (gradient[::2, :, 0, :2] == 0).all()
    assert model.spoiled.counts == {GRADIENT: {40: 1, 42: 1, 44: 1}}
    twin = DefendedClassifier(Sums(), traps.RootTwin(), chunk=chunk)
    _, _, exact = twin.differentiate(black(), Y, Noise(0, IDS), total)
    whole = black() > 0
    assert torch.equal(gradient[whole], exact[whole])
    assert (exact[::2, :, 0, :2] != 0).all()
    assert twin.spoiled.counts == {}


def test_every_draw_counts_and_the_mean_is_finite():
    model = DefendedClassifier(Sums(), NoisyRoot(), chunk=4)
    noise = Noise(0, IDS, "attack").spread(3)
    _, _, gradient = model.expect(black(), Y, noise, total)
    assert torch.isfinite(gradient).all()
    assert model.spoiled.counts == {GRADIENT: {40: 3, 42: 3, 44: 3}}


def test_a_vector_that_is_carried_back_is_finite():
    model = DefendedClassifier(Sums(), traps.Root(), chunk=2)
    assert torch.isfinite(model.pull_back(black(), Noise(0, IDS), torch.ones(5, 1, 4, 4))).all()
    assert model.view(model.mode).spoiled.counts == {GRADIENT: {40: 1, 42: 1, 44: 1}}


def test_who_computes_no_gradient_counts_none():
    model = DefendedClassifier(Sums(), traps.Root(), chunk=2)
    model(black(), Noise(0, IDS))
    assert model.spoiled.counts == {}


def test_images_that_came_in_broken_are_the_attacks_fault():
    x = black()
    x[1, 0, 0, 0] = NAN
    with refused("attack-input-not-finite", kind=AttackError, match=r"\[41\]"):
        DefendedClassifier(Sums(), Identity(), chunk=16)(x, Noise(0, IDS))
    with refused("attack-input-not-finite", kind=AttackError, match=r"\[41\]"):
        DefendedClassifier(Sums(), Identity(), chunk=16, mode=traps_mode("blind"))(x, Noise(0, IDS))

    class Log(Identity):
        def purify(self, x, noise):
            return x.log()

    with refused("defense-not-finite", match=r"Log\.purify.*\[40, 42, 44\]"):
        DefendedClassifier(Sums(), Log(), chunk=16)(black(), Noise(0, IDS))


def traps_mode(name):
    from bench.gradient import GradientMode

    return GradientMode(name)


@pytest.mark.parametrize("trap", traps.TRAPS, ids=lambda trap: trap.__name__)
@pytest.mark.parametrize(
    ("attack", "threat"),
    [
        *((pgd.pgd, threat) for threat in THREATS), *((apgd.apgd, threat) for threat in THREATS),
        (lambda *parts: apgd.apgd(*parts, start="wide", steps=20), THREATS[1]), (lambda *parts: cw.cw(*parts, steps=30, searches=2), THREATS[1]),
        (lambda *parts: cw.cw(*parts, constant=1e30, steps=10), THREATS[1]),
        *((diffhammer.diffhammer, threat) for threat in THREATS),
    ],
)  # fmt: skip
def test_own_attacks_look_at_finite_images_only(attack, threat, trap):
    class Watch(trap):
        def purify(self, x, noise):
            assert torch.isfinite(x.detach()).all()
            return super().purify(x, noise)

    x = black()
    found = attack(DefendedClassifier(Sums(), Watch(), chunk=16), x, Y, threat, Noise(0, IDS, "attack"))
    assert torch.isfinite(found).all()


# Other packages' attacks


def test_rows_of_others_are_counted_for_the_image_that_they_belong_to():
    """They come without ids and in subsets: the nearest image of the shard is theirs."""
    x = black()
    model = DefendedClassifier(Sums(), traps.Root(), chunk=16)
    rows = KeyedRows(model, Noise(0, IDS, "attack"), x)
    leaf = (x[[4, 1]]).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(rows(leaf).sum(), leaf)
    assert torch.isfinite(gradient).all()
    assert model.spoiled.counts == {GRADIENT: {44: 1}}


def test_the_image_itself_stands_in_for_a_broken_row():
    x = black()
    model = DefendedClassifier(Sums(), Identity(), chunk=16)
    rows = KeyedRows(model, Noise(0, IDS, "attack"), x)
    broken = x[[3, 2]].clone()
    broken[0, 0, 2] = NAN
    broken[1, 0, 3, 3] = INF
    leaf = broken.requires_grad_()
    logits = rows(leaf)
    torch.testing.assert_close(logits, Sums()(x[[3, 2]]))
    (gradient,) = torch.autograd.grad(logits.sum(), leaf)
    assert (gradient == 0).all()
    assert model.spoiled.counts == {IMAGE: {43: 1, 42: 1}}


@pytest.mark.parametrize("name", ["PGDL2", "DeepFool", "CW", "PGD", "FGSM", "APGD"])
def test_attacks_of_torchattacks_cost_an_image_and_not_the_run(name):
    pytest.importorskip("torchattacks")
    from attacks.torchattacks import attack

    threat = THREATS[0] if name in ("PGD", "FGSM") else THREATS[1]
    model = DefendedClassifier(Sums(), traps.Root(), chunk=16)
    y = Sums()(black()).argmax(dim=1)
    found = attack(name)(model, black(), y, threat, Noise(0, IDS, "attack"))
    assert torch.isfinite(found).all()
    counts = model.spoiled.counts[GRADIENT]
    assert counts.keys() <= {40, 42, 44}
    assert counts


@pytest.mark.parametrize("trap", [traps.Root, traps.Power, traps.Steep], ids=lambda trap: trap.__name__)
def test_the_reference_code_looks_at_finite_images_only(trap):
    from attacks.autoattack import autoattack

    class Watch(trap):
        def purify(self, x, noise):
            assert torch.isfinite(x.detach()).all()
            return super().purify(x, noise)

    model = DefendedClassifier(Sums(), Watch(), chunk=16)
    y = Sums()(black()).argmax(dim=1)
    found = autoattack(
        model, black(), y, THREATS[1], Noise(0, IDS, "attack"), version="custom", attacks=("apgd-ce", "fab")
    )
    assert torch.isfinite(found).all()
    assert model.spoiled.counts[GRADIENT]


def test_what_is_said_of_an_image_names_what_was_wrong():
    spoiled = Spoiled()
    spoiled.note(GRADIENT, [3, 3, 4])
    spoiled.note(IMAGE, [4])
    assert spoiled.words(5, {"claimed": True}) == {"claimed": True}
    assert spoiled.words(3, {}) == {"flags": [GRADIENT], "gradients_not_finite": 2}
    assert spoiled.words(4, {"flags": ["softmax"]}) == {
        "flags": ["softmax", GRADIENT, IMAGE], "gradients_not_finite": 1, "images_not_finite": 1,
    }  # fmt: skip


# The kit


@pytest.mark.parametrize("trap", traps.TRAPS, ids=lambda trap: trap.__name__)
def test_the_kit_fails_a_derivative_that_is_not_finite_and_says_how_it_arises(trap):
    with refused("contract-broken", match=r"finite gradient: .*torch\.where") as error:
        check_defense(trap())
    failed = {check.name for check in error.value.checks if check.problem}
    assert failed <= {"finite gradient", "full gradient"}
    assert len(check_defense(getattr(traps, trap.__name__ + "Twin")())) == 7


class AtOneGrey:
    """Its derivative breaks at white pixels alone: interior points do not show it."""

    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        return 1 - (1 - x).sqrt() ** 2


def test_the_kit_looks_at_white_pixels_too():
    with refused("contract-broken", match="finite gradient: .*white images"):
        check_defense(AtOneGrey())


# A run, its claim, its lines, its board, its audit


def made(tmp_path, name, *words, count=20):
    """The summary of a run of a purifier of the plants, what was printed being left to the caller."""
    command = ["run", "--defense", f"{SUPPORT}/not_finite.py:{name}", "-n", str(count), "--results", str(tmp_path)]
    return main([*command, *(words or ("--threat", "l2:1")), "--quiet", "--json"])


def claim_of(summary):
    return next(claim for claim in summary["checks"]["claims"] if claim["check"] == "finite gradients")


@pytest.mark.parametrize("trap", traps.TRAPS, ids=lambda trap: trap.__name__)
def test_a_run_counts_claims_flags_and_is_about_as_strong_as_on_the_twin(trap, tmp_path, capsys):
    assert made(tmp_path, trap.__name__) == 0
    summary = json.loads(capsys.readouterr().out)
    assert made(tmp_path, trap.__name__ + "Twin") == 0
    twin = json.loads(capsys.readouterr().out)
    assert claim_of(summary)["verdict"] == "failed"
    assert claim_of(summary)["value"]["images"] == 4
    assert summary["checks"]["gradient_finite"] is False
    assert (claim_of(twin)["verdict"], twin["checks"]["gradient_finite"]) == ("passed", True)
    assert summary["clean_accuracy"]["value"] == twin["clean_accuracy"]["value"]
    assert abs(summary["robust_accuracy"]["value"] - twin["robust_accuracy"]["value"]) < 0.15, (
        summary["robust_accuracy"],
        twin["robust_accuracy"],
    )
    lines = read_record(Path(summary["path"])).lines
    attacked = [line for line in lines if line.clean == [line.label]]
    counted = [line for line in attacked if line.said.get("gradients_not_finite", 0) > 0]
    assert len(counted) >= 0.5 * len(attacked)
    assert all(line.said["flags"] == [GRADIENT] for line in counted)
    assert summary["flags"] == {GRADIENT: len(counted)}
    assert not any(line.said for line in read_record(Path(twin["path"])).lines)
    (board,) = collect(tmp_path, required=["full gradient"])
    assert [row.name for row in board.rows] == [f"{SUPPORT}/not_finite.py:{trap.__name__}Twin"]
    (row,) = board.incomplete
    assert row.missing == ["full gradient"]
    assert {"finite gradients: failed", f"{GRADIENT} ({len(counted)} images)"} <= set(row.flags)
    assert main(["show", summary["run_id"], "--results", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"{len(counted)} of 20 images had gradients that are not finite" in shown
    assert "FAILED: " in shown


def test_a_purifier_that_watches_its_images_gets_finite_ones_and_the_run_is_whole(tmp_path, capsys):
    words = ["--threat", "l2:1", "--attack", "autoattack-fast", "-A", "members=apgd-wide,apgd-t", "-A", "steps=10"]
    assert made(tmp_path, "Watched", *words, count=40) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["status"], summary["n"]) == ("complete", 40)
    run = [
        part for part in sys.modules.values() if getattr(part, "__file__", None) == traps.__file__ and part is not traps
    ]
    assert [part.Watched.bad for part in run] == [0] * len(run) != []


def test_an_audit_finds_the_number_suspect(tmp_path, capsys):
    made(tmp_path, "Root", count=16)
    run = json.loads(capsys.readouterr().out)["run_id"]
    words = [
        "audit",
        run,
        "--results",
        str(tmp_path),
        "--quick",
        "--allow-code",
        "--only",
        "flags",
        "--only",
        "indicators",
    ]
    main([*words, "--json", "--quiet"])
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert found["flags"]["verdict"] == "suspect"
    assert found["flags"]["values"]["not finite"] > 0.5
    assert found["indicators"]["values"]["I1"]["raised"]


@pytest.mark.parametrize(("flagged", "missing"), [(1, []), (2, ["full gradient"])])
def test_more_than_one_percent_of_the_images_lose_the_rank(flagged, missing, tmp_path):
    folder = tmp_path / "toy" / "linf-8-255" / "a"
    with RecordWriter(folder, header("a", "own")) as writer:
        told = [{"flags": [GRADIENT], "gradients_not_finite": 3} if k < flagged else {} for k in range(100)]
        writer.append(0, [line(k, True, said=said) for k, said in enumerate(told)], None)
        writer.seal()
    (board,) = collect(tmp_path, required=["full gradient"])
    assert [row.missing for row in board.every] == [missing]
    assert f"{GRADIENT} ({flagged} images)" in board.every[0].flags
    assert board.every[0].commands == []


def test_a_record_from_before_the_claim_is_judged_by_its_figure(tmp_path):
    record(tmp_path, header("a", "own", checks={"gradient_finite": False}), "1" * 20)
    (board,) = collect(tmp_path, required=["full gradient"])
    assert [(row.missing, "finite gradients: failed" in row.flags) for row in board.every] == [
        (["full gradient"], True)
    ]
