"""The audit's parts against numbers that can be worked out by hand: bars, traces, paths, documents, resuming, the command."""

from __future__ import annotations

import json
import math
import re
import shlex
from math import comb

import numpy as np
import pytest
import torch
from audited import PLANTS, REGISTRY, Heard, examined, fired, made
from refused import refused
from torch import nn

import leaderboards
from bench.audit import TABLE
from bench.audit.bar import exceeds, order
from bench.audit.checks.attack import flags
from bench.audit.document import read_audit
from bench.audit.finding import Finding, flags_of, verdict_of
from bench.audit.rival import Trusting
from bench.audit.session import Scope
from bench.audit.trace import ascend
from bench.cli.main import main
from bench.defended import DefendedClassifier
from bench.figures.runs import read_run
from bench.noise import Noise
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.records.lookup import record_paths
from bench.records.seal import broken_seal, own_hash
from bench.run.options import Options
from bench.run.runner import Silent, record_path, run
from bench.threat import ThreatModel


def test_violations_are_held_against_two_percent():
    tail = 1 - sum(comb(32, k) * 0.02**k * 0.98 ** (32 - k) for k in range(4))
    assert exceeds(4, 32, 0.02) == pytest.approx(tail)
    strong, weak = np.ones(32), np.ones(32)
    weak[:4] = 0
    assert order(strong, weak).broken  # 4 of 32: p = .0036
    assert order(strong, weak).violations == 4
    weak[3] = 1
    assert not order(strong, weak).broken  # 3 of 32: p = .026
    assert not order(weak, strong).broken


def test_single_images_count_even_where_the_stronger_attack_wins_on_average():
    strong, weak = np.r_[np.ones(6), np.zeros(26)], np.r_[np.zeros(6), np.ones(26)]
    found = order(strong, weak)
    assert found.broken
    assert found.gain.value < 0


def test_means_over_draws_are_compared_by_an_exact_test():
    strong, weak = np.full(12, 0.6), np.full(12, 0.4)
    found = order(strong, weak)
    assert found.violations == 0  # no image by half of its draws
    assert found.p_gain == pytest.approx(2.0**-12)
    assert found.broken


@pytest.mark.parametrize(
    ("verdicts", "wanted", "verdict"),
    [
        ({"a": "pass", "b": "skipped"}, "ab", "believed"),
        ({"a": "pass"}, "ab", "unchecked"),
        ({"a": "suspect"}, "ab", "suspect"),
        ({"a": "suspect", "b": "refuted"}, "ab", "refuted"),
    ],
)
def test_the_verdict_is_that_of_the_worst_check(verdicts, wanted, verdict):
    findings = [Finding(name=name, verdict=word) for name, word in verdicts.items()]
    assert verdict_of(findings, wanted) == verdict
    assert flags_of(findings) == [f"audit: {n} {v}" for n, v in verdicts.items() if v in ("suspect", "refuted")]


class Linear(nn.Module):
    """Logits 0 and w x, so that the margin of class 1 is w x."""

    def __init__(self, w):
        super().__init__()
        self.w = w

    def forward(self, x):
        score = x.flatten(1) @ self.w
        return torch.stack([0 * score, score], dim=1)


class Same:
    deterministic = True

    def purify(self, x, noise):
        return x


def test_a_trace_on_a_linear_model_ends_at_the_corner():
    w = torch.tensor([1.0, -2.0, 3.0, 0.5])
    x, y = torch.full((2, 1, 2, 2), 0.5), torch.ones(2, dtype=torch.long)
    view = DefendedClassifier(Linear(w), Same(), chunk=2)
    trace = ascend(view, x, y, Noise(0, torch.arange(2)), ThreatModel.parse("linf:0.1"), steps=12)
    assert trace.margins.shape == (13, 2)
    assert trace.margins[0].tolist() == pytest.approx([1.25, 1.25])
    assert trace.margins[-1].tolist() == pytest.approx([1.25 - 0.1 * 6.5] * 2)
    assert torch.allclose(trace.norms, torch.full((12, 2), math.sqrt(14.25)))
    assert not trace.broken.any()
    assert ascend(view, x, y, Noise(0, torch.arange(2)), ThreatModel.parse("linf:0.5"), steps=12).broken.all()


def values(document, name):
    return next(check for check in document["checks"] if check["name"] == name)["values"]


def test_the_gradient_of_repeated_scaling_grows_by_its_power(tmp_path):
    path = made(tmp_path, "closed_forms.py:Repeated", samples=16)
    found = values(examined(path, "gradient-path", samples=16), "gradient-path")
    assert found["steps"] == [1, 2, 3, 4]
    assert found["growth"] == pytest.approx(0.5**3, rel=0.3)  # the network's own slope moves a little
    assert fired(examined(path, "gradient-path", samples=16)) == set()
    vanishing = made(tmp_path, "closed_forms.py:Vanishing", samples=16)
    assert fired(examined(vanishing, "gradient-path", samples=16)) == {"gradient-path"}


def test_the_compression_rate_of_a_scaling_is_its_factor(tmp_path):
    found = values(
        examined(made(tmp_path, "closed_forms.py:Quarter", samples=16), "compression", samples=16), "compression"
    )
    assert found["random"] == pytest.approx(0.25, abs=1e-4)
    assert found["adversarial"] == pytest.approx(0.25, abs=1e-3)


def test_averages_of_noisy_gradients_agree_as_the_formula_says(tmp_path):
    """The gradient is w (1 + n): half of its energy is true, so that c(e) = e / (e + 1)."""
    path = made(tmp_path, "closed_forms.py:NoisySlope", "pgd-eot", samples=16, steps=2, eot=10)
    found = values(examined(path, "eot-convergence", samples=16), "eot-convergence")["cosine by draws"]
    assert found["1"] == pytest.approx(1 / 2, abs=0.12)
    assert found["10"] == pytest.approx(10 / 11, abs=0.04)


def test_an_audit_resumes_and_is_made_again_only_for_more(tmp_path):
    path = made(tmp_path, samples=16)
    first, again, larger, full = Heard(), Heard(), Heard(), Heard()
    examined(path, "leak", "flags", samples=8, heard=first)
    examined(path, "leak", "flags", samples=8, heard=again)
    examined(path, "leak", samples=16, heard=larger)
    document = examined(path, "flags", size="full", samples=16, heard=full)
    assert [name for name, _ in first.begun] == ["leak", "flags"]
    assert again.begun == []
    assert [new for _, _, new in again.ended] == [False, False]
    assert [name for name, _ in larger.begun] == ["leak"]
    assert [name for name, _ in full.begun] == ["flags"]
    assert {check["name"]: (check["n"], check["size"]) for check in document["checks"]} == {
        "leak": (16, "quick"),
        "flags": (16, "full"),
    }
    assert document["verdict"] == "unchecked"
    assert "radius" in document["missing"]


def test_what_is_finished_survives_an_interruption(tmp_path):
    class Stops(Heard):
        def begins(self, name, summary, predicted):
            if name == "flags":
                raise KeyboardInterrupt

    path = made(tmp_path, samples=8)
    with pytest.raises(KeyboardInterrupt):
        examined(path, "leak", "flags", samples=8, heard=Stops())
    assert [check["name"] for check in read_audit(path)["checks"]] == ["leak"]


def test_the_cost_is_foreseen(tmp_path):
    heard = Heard()
    path = made(tmp_path, samples=16)
    examined(path, "random-noise", samples=16, heard=heard)
    ((_, predicted),) = heard.begun
    assert predicted["passes"] == {"classifier_forward": 16 * (50 + 2)}  # 50 tries, and both versions scored


def test_other_attacks_are_ordinary_records_that_no_table_counts(tmp_path):
    path = made(tmp_path, "honest.py:Blur", samples=16)
    examined(path, "gradient-order", samples=16)
    assert record_paths(tmp_path) == [path]
    others = record_paths(tmp_path / "audits")
    assert {read_run(other).spec.attack.name for other in others} == {"pgd-bpda", "pgd-blind"}
    assert all(len(read_run(other)) == 16 for other in others)


def test_an_audit_is_hashed_and_not_sealed(tmp_path):
    path = made(tmp_path, samples=8)
    document = examined(path, "flags", samples=8)
    assert document["sha256"] == own_hash(document)
    assert "audit.json" not in (path / "SHA256SUMS").read_text()
    assert broken_seal(path) == []
    assert read_run(path).audit == document
    file = path / "audit.json"
    file.write_text(file.read_text().replace('"pass"', '"skipped"'))
    with refused("audit-damaged"):
        read_audit(path)
    assert broken_seal(path) == ["audit.json is not what was written: its own hash does not fit"]


@pytest.mark.parametrize("change", [{"checks": [{"name": "leak"}]}, {"checks": "none"}, {"n": "many"}, {"verdict": 3}])
def test_an_audit_of_another_shape_is_refused(change, tmp_path, capsys):
    path = made(tmp_path, samples=8)
    document = examined(path, "flags", samples=8) | change
    document["sha256"] = own_hash(document)
    (path / "audit.json").write_text(json.dumps(document))
    assert main(["show", str(path)]) == 2
    assert "[audit-damaged]" in capsys.readouterr().err


def test_an_audit_of_another_run_is_refused(tmp_path):
    one, other = made(tmp_path, samples=8), made(tmp_path, samples=8, seed=1)
    examined(one, "flags", samples=8)
    (other / "audit.json").write_bytes((one / "audit.json").read_bytes())
    with refused("audit-other-run"):
        read_run(other)


@pytest.mark.parametrize(
    ("code", "given"), [("check-unknown", {"only": ("graient-order",)}), ("audit-samples", {"samples": 0})]
)
def test_wrong_scopes_are_refused(code, given):
    with refused(code):
        Scope(**given)


def test_every_check_says_what_it_is_and_where_it_comes_from(capsys):
    assert main(["list", "checks", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(TABLE)
    assert all("https://" in row["source"] and row["summary"] for row in rows)


def test_the_command_asks_before_it_runs_a_records_code(tmp_path, capsys):
    path = made(tmp_path, samples=8)
    words = ["audit", str(path), "--quick", "-n", "8", "--only", "flags", "--results", str(tmp_path)]
    assert main([*words, "--quiet"]) == 2
    assert "[code-not-allowed]" in capsys.readouterr().err
    assert main([*words, "--quiet", "--allow-code", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checks"][0]["name"] == "flags"
    assert main(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "audit   unchecked · quick, first 8 images" in shown
    assert "AutoAttack would not warn" in shown


def test_the_command_fails_where_a_check_fires(tmp_path, capsys):
    path = made(tmp_path, "guided_by_batch.py:Defense", samples=32)
    words = ["audit", str(path), "--quick", "--only", "batch-coupling", "--allow-code", "--results", str(tmp_path)]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert "audit   refuted" in captured.out
    asked = "[1/1] batch-coupling: Does an image's result depend on its neighbours? At most"
    assert asked in " ".join(captured.err.split())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["audit"], "audit-target"),
        (["audit", "abc", "--defense", "dpsam"], "audit-target"),
        (["audit", "abc", "--only", "nosuch"], "check-unknown"),
        (["audit", "abc", "-D", "a=1"], "audit-arguments"),
        (["audit", "--defense", "nosuch"], "component-unknown"),
    ],
)
def test_wrong_input_ends_in_one_sentence(words, code, capsys):
    assert main(words) == 2
    assert f"[{code}]" in capsys.readouterr().err


def test_a_defense_is_run_under_its_right_attack_first(tmp_path, capsys):
    words = [
        "audit", "--defense", "bit-depth", "-n", "4", "--quick", "--only", "flags", "--quiet", "--json", "--results", str(tmp_path),
    ]  # fmt: skip
    assert main(words) == 0
    (path,) = record_paths(tmp_path)
    assert read_run(path).spec.attack.name == "pgd-bpda"
    assert json.loads(capsys.readouterr().out)["run_id"] == path.name


def test_plants_are_small():
    assert all(len(file.read_text().splitlines()) < 60 for file in PLANTS.glob("*.py"))


def test_the_command_that_settles_a_comparison_can_be_pasted(tmp_path):
    """It names the changed arguments alone, and makes the very run that the check made."""
    path = made(tmp_path, "kills_gradient.py:Defense", samples=32)
    document = examined(path, "effort", "gradient-order", samples=32)
    commands = {check["name"]: check["command"] for check in document["checks"] if check["command"]}
    words = shlex.split(commands["gradient-order"])
    assert words[:2] == ["bench", "run"]
    assert words[words.index("--attack") + 1] == "pgd-bpda"
    assert "-A" not in words
    assert main([*words[1:], "--quiet"]) == 0
    made_here = {other.name for other in record_paths(tmp_path)} - {path.name}
    assert made_here <= {other.name for other in record_paths(tmp_path / "audits")}
    assert len(made_here) == 1


def test_the_page_and_the_board_show_the_checks(tmp_path):
    path = made(tmp_path, "guided_by_batch.py:Defense", samples=32)
    examined(path, "batch-coupling", "flags", samples=32)
    page = leaderboards.render(tmp_path, "html")
    assert '"verdict": "refuted"' in page.replace('":"', '": "')
    assert "AutoAttack would not warn" in page
    assert "refuted" in leaderboards.render(tmp_path, "md")
    assert "audit: batch-coupling refuted" in leaderboards.render(tmp_path, "md")


def test_one_step_has_not_converged(tmp_path):
    path = made(
        tmp_path, threat="linf:0.01", steps=1, start="zero", losses=("ce",), schedule="constant", step_size=0.004
    )
    assert fired(examined(path, "effort", "reference-attack", samples=64)) == {"effort", "reference-attack"}


def test_an_interrupted_command_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def stops(subject):
        raise KeyboardInterrupt

    path = made(tmp_path, samples=8)
    monkeypatch.setattr(flags, "check", stops)
    words = [
        "audit",
        str(path),
        "--only",
        "leak",
        "--only",
        "flags",
        "-n",
        "8",
        "--allow-code",
        "--results",
        str(tmp_path),
    ]
    assert main(words) == 3
    assert "resume with: bench audit" in capsys.readouterr().err
    assert [check["name"] for check in read_audit(path)["checks"]] == ["leak"]


STRONGER = {"steps": 25, "restarts": 2, "losses": ("dlr", "ce", "cw")}


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        ({}, "skipped"),
        (STRONGER, "skipped"),
        ({"steps": 9}, "pass"),
        ({"losses": ("ce",)}, "pass"),
        ({"start": "zero"}, "pass"),
        ({"step_size": 1e-6}, "refuted"),
        ({"schedule": "constant"}, "pass"),
        ({"budget": 6}, "pass"),
        ({**STRONGER, "step_size": 1e-6}, "refuted"),
    ],
)
def test_only_a_run_that_is_the_reference_or_more_of_it_needs_no_reference(arguments, verdict, tmp_path):
    path = made(tmp_path, samples=32, **arguments)
    (found,) = examined(path, "reference-attack", samples=32)["checks"]
    assert found["verdict"] == verdict


OWN = """
def shift(model, x, y, threat, noise, *, steps: int = 3):
    return x
"""


def spent(*prices):
    """The sums of several prices, by hand."""
    passes = [price["passes"].get("classifier_forward", 0) for price in prices]
    return round(sum(price["seconds"] for price in prices), 1), sum(passes)


def test_the_total_is_told_before_the_first_check_and_leaves_out_what_was_done(tmp_path):
    path, heard, again = made(tmp_path, samples=16), Heard(), Heard()
    examined(path, "random-noise", "flags", "known-draws", samples=16, heard=heard)
    assert [name for name, _ in heard.begun] == ["flags", "random-noise"]  # known-draws: the defense is deterministic
    assert heard.total["checks"] == 2
    assert (heard.total["seconds"], heard.total["passes"]["classifier_forward"]) == pytest.approx(
        spent(*(price for _, price in heard.begun)), abs=0.11
    )
    examined(path, "random-noise", "flags", "known-draws", samples=16, heard=again)
    assert again.total == {"checks": 0, "seconds": 0.0, "likely": 0.0, "passes": {}}


def test_an_attack_without_a_formula_is_not_priced_as_nothing(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    request = Request(
        defense="none", attack=f"{tmp_path / 'own.py'}:shift", dataset=f"{PLANTS}/world.py:images",
        classifier=f"{PLANTS}/world.py:Network", threat=ThreatModel.parse("linf:0.03"),
    )  # fmt: skip
    planned = plan(request, REGISTRY)
    run(planned, Options(results=tmp_path, samples=4, device="cpu"), Silent(), Trusting({"deterministic": True}))
    heard = Heard()
    examined(record_path(planned, tmp_path), "effort", samples=4, heard=heard)
    assert heard.total == {"checks": 1, "seconds": 0.0, "likely": 0.0, "passes": {}, "unforeseen": 1}


def test_a_dry_run_prices_every_check_and_makes_nothing(tmp_path, capsys):
    path = made(tmp_path, samples=16)
    examined(path, "flags", samples=16)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    words = [
        "audit", str(path), "--quick", "-n", "16", "--allow-code", "--results", str(tmp_path), "--dry-run",
        "--only", "flags", "--only", "random-noise", "--only", "known-draws",
    ]  # fmt: skip
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {check["name"]: check["state"] for check in found["checks"]} == {
        "flags": "done", "random-noise": "new", "known-draws": "skipped",
    }  # fmt: skip
    assert found["total"]["checks"] == 1
    assert found["total"]["passes"] == {"classifier_forward": 16 * (50 + 2)}
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        f"{path.name}: loading torch, the networks and the data",
        f"{path.name}: quick audit, first 16 images",
        "pricing the checks, as on an idle machine: timing an evaluation and a gradient",
    ]  # fmt: skip
    lines = captured.out.splitlines()
    assert lines[0] == f"audit   quick, first 16 images of run {path.name}: none under pgd-full"
    assert [line.split(maxsplit=1)[1] for line in (lines[1], lines[3])] == [
        "done before", "does not apply: the defense is deterministic",
    ]  # fmt: skip
    assert re.fullmatch(r"  random-noise  at most [0-9.]+ (s|min)", lines[2])
    assert re.fullmatch(r"1 check to make: at most [0-9.]+ (s|min)", lines[4])
    assert lines[5:] == ["  passes, at most: 832 classifier forward", "nothing was run or stored"]
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_dry_run_of_a_defense_prices_the_run_that_has_to_be_made_first(tmp_path, capsys):
    words = ["audit", "--defense", "bit-depth", "-n", "4", "--quick", "--only", "flags", "--results", str(tmp_path)]
    assert main([*words, "--dry-run"]) == 0
    captured = capsys.readouterr()
    said = captured.out
    assert "pricing the run, as on an idle machine: timing a few gradient steps\n" in captured.err
    assert "bit-depth under pgd-bpda" in said
    assert "4 images to run, 0 done" in said
    assert "the checks of the audit are priced when this run is made" in said
    assert record_paths(tmp_path) == []
    assert main([*words, "--quiet"]) == 0
    capsys.readouterr()
    assert main([*words, "--dry-run"]) == 0
    assert "no check is left to make" in capsys.readouterr().out


def test_the_verdict_says_what_was_examined_and_which_checks_fired(tmp_path, capsys):
    path = made(tmp_path, "guided_by_batch.py:Defense", samples=32)
    only = ["--only", "batch-coupling", "--only", "flags"]
    words = ["audit", str(path), "--quick", "-n", "16", *only, "--allow-code", "--results", str(tmp_path)]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "audit   refuted · quick, first 16 images"
    told = " ".join(captured.out.split())
    assert f"examined first 16 images of run {path.name}: {PLANTS}/guided_by_batch.py:Defense under pgd-full" in told
    assert "  fired     batch-coupling (refuted)" in captured.out.splitlines()
    assert re.search(r"^2 checks to make: at most [0-9.]+ (s|min)$", captured.err, re.MULTILINE)
    believed = made(tmp_path, samples=8)
    words = [
        "audit",
        str(believed),
        "--quick",
        "-n",
        "8",
        "--only",
        "flags",
        "--allow-code",
        "--results",
        str(tmp_path),
    ]
    assert main([*words, "--quiet"]) == 0
    said = capsys.readouterr().out
    assert f"  examined  first 8 images of run {believed.name}: none under pgd-full" in said
    assert "fired" not in said
    assert main(["show", str(believed)]) == 0
    assert f"  examined  first 8 images of run {believed.name}: none under pgd-full" in capsys.readouterr().out


def test_what_is_done_is_made_again_if_asked(tmp_path):
    path = made(tmp_path, samples=8)
    document = examined(path, "flags", samples=8)
    document["checks"][0]["meaning"] = "written by somebody else"
    document["sha256"] = own_hash({key: value for key, value in document.items() if key != "sha256"})
    (path / "audit.json").write_text(json.dumps(document, indent=1) + "\n")
    assert examined(path, "flags", samples=8)["checks"][0]["meaning"] == "written by somebody else"
    assert examined(path, "flags", samples=8, again=True)["checks"][0]["meaning"] == "AutoAttack would not warn."
