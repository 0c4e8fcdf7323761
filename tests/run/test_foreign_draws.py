"""Runs of purifiers that draw from torch, NumPy or Python: what is keyed, recorded, repeated and refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from audited import PLANTS, REGISTRY, Heard, fired

from bench.audit.session import Scope, audit
from bench.engines import EngineOptions, make_engine
from bench.errors import UserError
from bench.figures.runs import read_run
from bench.figures.summary import EXACT
from bench.plan.plan import plan
from bench.plan.request import Request, request_of
from bench.records.claim import failed_checks
from bench.records.spec import RunSpec, canonical
from bench.run.job import images_missing
from bench.run.options import Options
from bench.run.replay import worker_of
from bench.run.runner import Silent, run
from bench.threat import ThreatModel
from bench.verify.verification import Options as VerifyOptions
from bench.verify.verify import verify
from leaderboards.entries import flags

SUPPORT = PLANTS.parent / "support"
FOREIGN = f"{SUPPORT}/foreign_purifiers.py:"
SHORT = {"attacks": {"steps": 3, "losses": ("cw",), "eot": 2}}
OPERATIONS, ALONE = "operations", "image by image"
RAN = {
    "Ddpm": OPERATIONS, "CheckpointedDdpm": OPERATIONS, "UnrolledSteps": OPERATIONS, "AdamFromRandomStart": OPERATIONS,
    "Latent": OPERATIONS, "OwnTorchGenerator": OPERATIONS, "MeanOverBatch": ALONE, "ByNumpy": ALONE, "OwnGenerators": ALONE,
    "Multinomial": ALONE,
}  # fmt: skip


def planned(defense, attack="pgd-eot", **more):
    return plan(
        Request(
            defense=defense if ":" in defense else FOREIGN + defense, attack=attack, dataset=f"{PLANTS}/world.py:images",
            classifier=f"{PLANTS}/world.py:Network", threat=ThreatModel.parse("linf:0.03"), draws=2,
            **{"arguments": SHORT if attack != "null" else {}} | more,
        ),
        REGISTRY,
    )  # fmt: skip


def made(folder, wanted, samples=8, engine=None, reporter=None, **more):
    options = Options(results=folder, samples=samples, device="cpu", **more)
    return read_run(Path(run(wanted, options, reporter or Silent(), engine)["path"]))


def comparable(path):
    """The files of a record, but for timings."""
    files = {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    files["samples.jsonl"] = re.sub(rb'"(seconds|memory)":[0-9.e-]+', b"", files["samples.jsonl"])
    files["SHA256SUMS"] = re.sub(rb"\w+  samples.jsonl", b"", files["SHA256SUMS"])
    return files


@pytest.mark.parametrize(("defense", "means"), RAN.items())
def test_a_run_keys_the_draws_and_records_the_means(defense, means, tmp_path):
    asked = planned(defense)
    found = made(tmp_path, asked)
    assert (found.spec.keyed, asked.spec.keyed) == (means, None)
    assert found.run_id == found.spec.run_id != asked.spec.run_id
    assert failed_checks(found.header.checks) == []
    assert found.header.checks.gradient_error < EXACT
    assert not found.header.deterministic
    assert f"draws keyed: {means}" in flags(found)
    assert means in found.header.notes[-1]
    assert made(tmp_path, asked, samples=9).path == found.path  # the same record goes on
    assert len(list(tmp_path.rglob("run.json"))) == 1
    assert images_missing(asked, Options(results=tmp_path, samples=12)) == (3, 12)


def test_a_diffusion_by_torchsde_runs(tmp_path):
    pytest.importorskip("torchsde")
    file = tmp_path / "sde.py"
    file.write_text(
        f"import sys\nsys.path.insert(0, {str(SUPPORT)!r})\nfrom foreign_purifiers import sde_purifier\nSde = sde_purifier()\n"
    )
    found = made(tmp_path / "r", planned(f"{file}:Sde"))
    assert (found.spec.keyed, failed_checks(found.header.checks)) == (ALONE, [])


def test_a_gradient_with_other_draws_is_recorded(tmp_path):
    found = made(tmp_path, planned("ForgetsItsDraws"))
    assert set(failed_checks(found.header.checks)) == {"gradient", "random operations"}


@pytest.mark.parametrize(
    ("defense", "batch", "code"), [("FromTheSystem", None, "draws-not-keyed"), ("FromTheSystem", 1, "draws-not-keyed")]
)
def test_what_no_seed_reaches_is_refused(defense, batch, code, tmp_path):
    with pytest.raises(UserError) as error:
        made(tmp_path, planned(defense), batch_size=batch)
    assert error.value.code == code
    assert not list(tmp_path.rglob("run.json"))


def test_noise_that_a_seed_inside_makes_a_constant(tmp_path):
    with pytest.raises(UserError, match="--batch-size 1"):
        made(tmp_path, planned("SeedsInside"))
    found = made(tmp_path, planned("SeedsInside"), batch_size=1)
    assert "other draws" in failed_checks(found.header.checks)  # it is deterministic


def test_a_claim_to_be_deterministic_is_held_against_it(tmp_path):
    for plant in ("global_draw", "reseeds"):
        with pytest.raises(UserError):
            made(
                tmp_path,
                plan(replace(planned("Latent").request, defense=f"{PLANTS}/{plant}.py:Defense", draws=None), REGISTRY),
            )
    assert not list(tmp_path.rglob("run.json"))


def test_other_run_ids_stay():
    spec = planned(f"{PLANTS}/honest.py:NoisyBlur").spec
    assert '"keyed"' not in canonical(spec.model_dump())
    assert RunSpec.model_validate({**spec.model_dump(), "keyed": ALONE}).run_id != spec.run_id


def test_scored_draws_are_the_same_for_the_clean_and_the_attacked_image(tmp_path):
    for defense in ("Ddpm", "ByNumpy"):
        null = made(tmp_path, planned(defense, "null"), samples=50)
        assert (null.clean == null.adversarial).all()
        assert (null.clean[:, 0] != null.clean[:, 1]).any() or defense == "ByNumpy"


class Stops(Silent):
    def finished(self, lines):
        raise KeyboardInterrupt


@pytest.mark.parametrize("defense", ["Ddpm", "ByNumpy"])
def test_a_resumed_run_makes_the_same_record(defense, tmp_path):
    whole = made(tmp_path / "whole", planned(defense), samples=60)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "parts", planned(defense), samples=60, reporter=Stops())
    assert len(list(tmp_path.glob("parts/**/adversarial/*"))) == 1
    resumed = made(tmp_path / "parts", planned(defense), samples=60)
    assert comparable(resumed.path) == comparable(whole.path)


@pytest.mark.parametrize("name", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_workers_make_the_same_record(name, tmp_path):
    if name == "ray":
        pytest.importorskip("ray")
    with make_engine(EngineOptions(name=name, workers=2, devices=("cpu",)), REGISTRY) as engine:
        for defense in ("ByNumpy", "Ddpm")[: 1 + (name == "ray")]:
            alone = made(tmp_path / "one", planned(defense), samples=60)
            there = made(tmp_path / "two", planned(defense), samples=60, engine=engine)
            assert there.run_id == alone.run_id
            assert [(line.adversarial, line.margin) for line in there.lines] == [
                (line.adversarial, line.margin) for line in alone.lines
            ]


@pytest.mark.parametrize("defense", ["Ddpm", "ByNumpy"])
def test_a_record_is_verified_and_audited(defense, tmp_path):
    found = made(tmp_path, planned(defense, "pgd-known"), samples=24)
    assert request_of(found.header).keyed == found.spec.keyed
    report = verify(found.path, [], found.run_id, REGISTRY, VerifyOptions(device="cpu", allow_code=True), Hears())
    assert all(finding.passed is not False for finding in report.findings)
    scope = Scope(samples=24, only=("batch-coupling", "same-view", "repetition"))
    document = audit(found.path, scope, REGISTRY, Heard(), options=Options(results=tmp_path, device="cpu"))
    assert fired(document) == set()


class Hears:
    def __getattr__(self, name):
        return lambda *_, **__: None


def test_draws_of_another_kind_of_device_are_not_judged(tmp_path):
    def elsewhere(defense):
        found = made(tmp_path, planned(defense))
        environments = found.header.environments.items()
        there = {key: one.model_copy(update={"device": "cuda"}) for key, one in environments}
        header = found.header.model_copy(update={"environments": there})
        return worker_of(replace(found, header=header), plan(request_of(header), REGISTRY), device="cpu")

    assert elsewhere("Ddpm")  # whose numbers are the same on every device
    with pytest.raises(UserError) as error:
        elsewhere("ByNumpy")
    assert error.value.code == "draws-of-other-device"


def test_knowing_the_draws_is_no_weaker_than_averaging_over_others(tmp_path):
    """On the embedded data."""
    arguments = {"attacks": {"steps": 6, "eot": 4, "losses": ("cw",)}}
    request = Request(defense=FOREIGN + "Ddpm", draws=2, arguments=arguments, threat=ThreatModel.parse("linf:8/255"))
    known, fresh = (
        100 * made(tmp_path, plan(replace(request, attack=attack), REGISTRY), samples=24).shares().mean()
        for attack in ("pgd-known", "pgd-eot")
    )
    assert 10 < fresh < 90
    assert known <= fresh + 2
