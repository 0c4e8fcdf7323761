"""What depends on the batch is found at two batch sizes, and refused or run image by image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from audited import PLANTS, REGISTRY, Heard, fired
from refused import refused
from torch.nn.functional import batch_norm, mse_loss

from bench.audit.rival import Trusting
from bench.audit.session import Scope, audit
from bench.claims.batch import SINGLE, pixel_differences
from bench.claims.checks import REFUSED, measure_claims
from bench.errors import CoupledError
from bench.figures.runs import read_run
from bench.gradient import GradientMode, clamp
from bench.machine.device import pick_device
from bench.passes import Tally
from bench.plan.plan import image_by_image, plan
from bench.plan.request import Request
from bench.records.spec import canonical
from bench.run.job import record_path
from bench.run.options import Options
from bench.run.runner import Silent, run
from bench.run.scoring import scored
from bench.run.worker import Worker
from bench.testing import check_defense
from bench.threat import ThreatModel
from bench.verify.verification import Options as VerifyOptions
from bench.verify.verify import verify
from leaderboards.entries import flags

HERE = f"{__file__}:"


class GuidedByMean:
    """A step down a loss that is a mean over the batch: one over the batch of the step that one image alone would get."""

    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        with torch.enable_grad():
            z = x if x.requires_grad else x.detach().requires_grad_()
            grad = torch.is_grad_enabled()
            (step,) = torch.autograd.grad(mse_loss(z, torch.full_like(z, 0.5)), z, create_graph=grad)
        return (x - 20 * step).clamp(0, 1)


class OverLength(GuidedByMean):
    """Rather the same, without autograd."""

    def purify(self, x, noise):
        return (x + (0.5 - x) / (2 * len(x))).clamp(0, 1)


class ByMaximum(GuidedByMean):
    """Normalised by the brightest pixel of the batch, which the first image has here, so that nothing shows in one size."""

    def purify(self, x, noise):
        return x / x.max()


class BatchNormalised(GuidedByMean):
    """Batch normalisation by the statistics of the batch, without a module in train mode."""

    def purify(self, x, noise):
        return batch_norm(x, None, None, training=True).mul(0.2).add(0.5).clamp(0, 1)


class Sorts(GuidedByMean):
    """Each pixel is pulled to the median over the batch."""

    def purify(self, x, noise):
        return 0.5 * x + 0.5 * x.sort(dim=0).values[len(x) // 2]


class InSingle(OverLength):
    """It computes in float32, whatever it is given."""

    def purify(self, x, noise):
        return super().purify(x.float(), noise).to(x.dtype)


class StrictlySingle(OverLength):
    """It refuses float64."""

    def purify(self, x, noise):
        return super().purify(x @ torch.eye(x.shape[3]), noise)


class Sound(GuidedByMean):
    """What all of them should be."""

    def purify(self, x, noise):
        return (0.9 * x + 0.05).clamp(0, 1)


class SoundInSingle(Sound):
    """A sound one that computes in float32."""

    def purify(self, x, noise):
        return super().purify(x @ torch.eye(x.shape[3]), noise)


class NeverDraws(Sound):
    """It claims to be stochastic."""

    deterministic: ClassVar[bool] = False


class RoundsItsDraw(NeverDraws):
    """Its noise is rounded away."""

    def purify(self, x, noise):
        return clamp(x + (0.01 * noise.normal(x)).round())


class Draws(NeverDraws):
    """It does draw."""

    def purify(self, x, noise):
        return (x + 0.01 * noise.normal(x)).clamp(0, 1)


class VotesTogether(NeverDraws):
    """Coupled among the votes of one image."""

    votes: int = 4

    def purify(self, x, noise):
        return (x + 0.01 * noise.normal(x)).clamp(0, 1) / (1 + 1 / len(x))


def forked(x, noise, rows):
    """Foreign normal numbers, keyed by the words of the noise of some rows at a time."""
    with torch.random.fork_rng(devices=[]):
        parts = []
        for first in range(0, len(x), rows):
            torch.manual_seed(int(noise.words(4)[0, first, 0]))  # noqa: TID251 - what a foreign package would do
            parts.append(torch.randn(x[first : first + rows].shape, dtype=torch.float32).to(x.dtype))
    return (x + 0.01 * torch.cat(parts)).clamp(0, 1)


class KeyedByImage(NeverDraws):
    """Foreign numbers that are a function of image and draw."""

    def purify(self, x, noise):
        return forked(x, noise, 1)


class KeyedByBatch(NeverDraws):
    """Those of the batch are keyed by its first image."""

    def purify(self, x, noise):
        return forked(x, noise, len(x))


COUPLED = {
    GuidedByMean: "batch size", OverLength: "batch size", InSingle: "batch size", StrictlySingle: "batch size",
    ByMaximum: "batch size", BatchNormalised: "alone", Sorts: "alone", KeyedByBatch: "permuted",
}  # fmt: skip


def planned(defense, attack="null", **more):
    return plan(
        Request(
            defense=HERE + defense.__name__, attack=attack, dataset=f"{PLANTS}/world.py:images", classifier=f"{PLANTS}/world.py:Network",
            threat=ThreatModel.parse("linf:0.03"), **more,
        ),
        REGISTRY,
    )  # fmt: skip


def claims_of(plan, batch=16):
    """What a run measures: figures, and claims by name."""
    worker = Worker(plan, pick_device("cpu"), batch, lambda *_: None)
    x, _, noise = worker._inputs(np.arange(4))
    model = worker._model(GradientMode.FULL, Tally(), 4, chunk=min(worker.batch, 4))
    figures, claims = measure_claims(plan, model, scored, x, noise)
    return figures, {claim.check: claim for claim in claims}


def failed(claims):
    return [name for name, claim in claims.items() if claim.verdict == "failed"]


@pytest.mark.parametrize("defense", COUPLED)
def test_what_depends_on_the_batch_is_refused_and_told_what_to_do(defense):
    worker = Worker(planned(defense), pick_device("cpu"), 16, lambda *_: None)
    with refused(REFUSED[COUPLED[defense]], match="--batch-size 1"):
        worker.claims()
    assert failed(claims_of(planned(defense))[1])[0] == COUPLED[defense]


@pytest.mark.parametrize("defense", [GuidedByMean, Sorts, InSingle, BatchNormalised])
def test_one_image_in_a_call_does_not_hide_it(defense):
    worker = Worker(planned(defense), pick_device("cpu"), 1, lambda *_: None)
    with refused("defense-batch-size", kind=CoupledError):
        worker.claims()


def test_the_difference_is_that_of_the_formula():
    """Half the way to grey alone, an eighth of it among four: 3/8 of the distance, root mean square."""
    x = torch.linspace(0.2, 0.9, 32, dtype=torch.float64).view(2, 1, 4, 4)
    alone, among = (x + (0.5 - x) / (2 * size) for size in (1, 4))
    expected = 0.375 * (x - 0.5).square().mean(dim=(1, 2, 3)).sqrt()
    assert torch.allclose(pixel_differences(alone, among), expected)


def test_a_small_factor_is_seen_in_double_precision_alone():
    _, claims = claims_of(planned(Slightly))
    assert claims["batch size"].value < SINGLE
    assert failed(claims) == ["batch size, float64"]


class Slightly(GuidedByMean):
    """So little that float32 cannot tell it from rounding."""

    def purify(self, x, noise):
        return x * (1 - 1e-5 / len(x))


@pytest.mark.parametrize("defense", [Sound, SoundInSingle, Draws, KeyedByImage])
def test_sound_ones_fail_nothing(defense):
    _, claims = claims_of(planned(defense))
    assert failed(claims) == []
    assert claims["batch size"].value < 1e-6


@pytest.mark.parametrize(("defense", "value"), [(NeverDraws, 0.0), (RoundsItsDraw, 0.0)])
def test_other_draws_have_to_differ(defense, value):
    _, claims = claims_of(planned(defense))
    assert (claims["other draws"].value, failed(claims)) == (value, ["other draws"])
    assert "other draws" not in claims_of(planned(Sound))[1]


def test_keyed_operations_are_told_and_pass_where_everything_else_does():
    _, claims = claims_of(planned(KeyedByImage))
    claim = claims["random operations"]
    assert (claim.verdict, "randn" in claim.value) == ("passed", True)
    alone = claims_of(image_by_image(planned(KeyedByImage)))[1]["random operations"]
    assert alone.verdict == "failed"  # since batch sizes were not compared


def made(folder, defense, attack="null", batch=1, samples=20, engine=None):
    wanted = planned(defense, attack)
    summary = run(wanted, Options(results=folder, samples=samples, device="cpu", batch_size=batch), Silent(), engine)
    return wanted, read_run(Path(summary["path"]))


def test_image_by_image_is_part_of_the_run_id_and_is_said(tmp_path):
    asked, found = made(tmp_path, GuidedByMean)
    assert found.spec.batch_size == 1
    assert found.run_id != asked.spec.run_id
    assert found.run_id == found.spec.run_id
    assert "image by image" in flags(found)
    assert any("image by image" in note for note in found.header.notes)
    assert {part.batch_size for part in found.header.environments.values()} == {1}
    _, again = made(tmp_path, GuidedByMean, samples=30)  # resumed
    assert (again.path, len(again)) == (found.path, 30)
    with refused("defense-batch-size", kind=CoupledError):
        made(tmp_path, GuidedByMean, batch=None)
    assert len(list(tmp_path.glob("*/*/*/run.json"))) == 1


def test_its_number_is_that_of_each_image_alone(tmp_path):
    _, found = made(tmp_path, VotesTogether, samples=6)
    worker = Worker(planned(VotesTogether), pick_device("cpu"), 1, lambda *_: None)
    x, y, noise = worker._inputs(np.arange(6))
    network = worker.plan.classifier
    for row in range(6):
        draw = noise[row : row + 1].of("score")
        ballots = [draw.ballots(4)[k : k + 1] for k in range(4)]
        pure = [(x[row : row + 1] + 0.01 * one.normal(x[:1])).clamp(0, 1) / 2 for one in ballots]
        votes = torch.stack([network(image).softmax(dim=1) for image in pure]).mean(dim=0).log()[0].detach()
        other = torch.cat([votes[: y[row]], votes[y[row] + 1 :]]).max()
        assert found.lines[row].margin[0] == pytest.approx(float(votes[y[row]] - other), abs=1e-4)


def test_ordinary_run_ids_stay_and_do_not_know_the_batch_size(tmp_path):
    asked, found = made(tmp_path, Sound)
    assert "batch_size" not in json.loads(canonical(asked.spec.model_dump()))
    assert found.run_id == asked.spec.run_id == planned(Sound).spec.run_id


def test_a_record_is_verified_and_audited_image_by_image(tmp_path):
    _, found = made(tmp_path, GuidedByMean, attack="pgd-full", samples=10)

    class Hears:
        def __getattr__(self, name):
            return lambda *_, **__: None

    options = VerifyOptions(device="cpu", allow_code=True)
    report = verify(found.path, [], found.run_id, REGISTRY, options, Hears())
    assert all(finding.passed is not False for finding in report.findings)
    scope = Scope(samples=10, only=("batch-coupling", "same-view", "radius"))
    document = audit(found.path, scope, REGISTRY, Heard(), options=Options(results=tmp_path, device="cpu"))
    values = {check["name"]: check for check in document["checks"]}["batch-coupling"]
    assert values["verdict"] == "pass"
    assert "batch size" not in values["values"]
    assert all(read_run(path.parent).spec.batch_size == 1 for path in tmp_path.rglob("run.json"))


@pytest.mark.parametrize(
    ("defense", "batch", "verdict"),
    [(GuidedByMean, 16, "refuted"), (OverLength, 1, "refuted"), (InSingle, 50, "refuted"), (Sound, 1, "pass"), (SoundInSingle, 16, "pass")],
)  # fmt: skip
def test_an_audit_compares_two_batch_sizes(defense, batch, verdict, tmp_path):
    """Whatever the claims before the run said."""
    wanted = planned(defense)
    trusted = Trusting({"deterministic": True, "differentiable": True})
    run(wanted, Options(results=tmp_path, samples=20, device="cpu", batch_size=batch), Silent(), trusted)
    path = record_path(wanted, tmp_path)
    scope = Scope(samples=20, only=("batch-coupling",))
    document = audit(path, scope, REGISTRY, Heard(), options=Options(results=tmp_path, device="cpu"))
    assert document["checks"][0]["verdict"] == verdict
    assert fired(document) == ({"batch-coupling"} if verdict == "refuted" else set())


@pytest.mark.parametrize("defense", [OverLength, StrictlySingle, InSingle, BatchNormalised])
def test_the_kit_finds_it_in_either_precision(defense):
    with refused("contract-broken", match="independent of batch size"):
        check_defense(defense())


def test_the_kit_takes_sound_code_for_float32():
    assert len(check_defense(SoundInSingle())) == 7
