"""The commands as scripts rely on them: documents, streams, exit codes, and what a repeated command leaves alone."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import main

TINY = "run --threat linf:16/255 --defense none --attack null -n 2 --results results"
ONCE = "run --threat linf:16/255 --defense denoise-once --attack pgd-full -A steps=2 -A eot=2 -A losses=cw -n 2 --draws 2 --batch-size 2 --results results"

PART = {"name", "args", "sha256", "gradient"}
INTERVAL = {"value", "low", "high", "successes", "n", "method"}
SUMMARY = {
    "run_id": None, "path": None, "status": None, "n": None,
    "spec": {
        "defense": PART, "attack": PART, "classifier": PART, "score_model": PART, "dataset": PART,
        "threat": None, "draws": None, "seed": None,
    },
    "clean_accuracy": INTERVAL, "robust_accuracy": INTERVAL,
    "draws": {"k", "mean", "worst", "majority", "null_mean", "null_worst", "null_majority"},
    "checks": {"deterministic", "range", "differentiable", "gradient_finite", "gradient_nonzero", "gradient_error", "claims"},
    "cost": {
        "seconds", "classifier_forward", "classifier_backward", "score_forward", "score_backward", "score_hvp",
    },
    "peak_memory": None,
    "environment": {"purebench", "torch", "device", "device_name", "instructions", "batch_size", "tf32", "git"},
}  # fmt: skip
KINDS = ("defenses", "attacks", "datasets", "classifiers", "score-models")
COMMANDS = (
    "",
    "run",
    "suite",
    "list",
    "show",
    "leaderboard",
    "table",
    "compare",
    "check",
    "verify",
    "pack",
    "export",
    "import",
    "doctor",
    "train",
    "train classifier",
    "train score",
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bench(capsys):
    """Runs a command that must succeed; gives its stdout and stderr."""

    def call(words):
        assert main(shlex.split(words)) == 0
        return capsys.readouterr()

    return call


def record():
    (path,) = Path("results").glob("*/*/*")
    return path


def fits(document, keys):
    """Asserts that the document has these keys, nested, and no others."""
    assert set(document) == set(keys)
    if isinstance(keys, dict):
        for key, inner in keys.items():
            if inner is not None and document[key] is not None:
                fits(document[key], inner)


@pytest.mark.parametrize(("command", "k"), [(TINY, 1), (ONCE, 2)], ids=["deterministic", "stochastic"])
def test_the_summary_document_is_all_of_stdout_and_show_repeats_it(command, k, bench):
    out, err = bench(f"{command} --json")
    summary = json.loads(out)
    fits(summary, SUMMARY)
    assert (summary["n"], summary["status"], summary["draws"]["k"]) == (2, "complete", k)
    assert summary["robust_accuracy"]["value"] == summary["draws"]["mean"]
    assert summary["clean_accuracy"]["value"] == summary["draws"]["null_mean"]
    assert summary["checks"]["deterministic"] is (k == 1)
    assert summary["path"] == record().as_posix()
    assert summary["path"].endswith(f"{summary['spec']['threat'].replace(':', '-').replace('/', '-')}/{record().name}")
    assert "2/2 done" in err
    for name in (record().name, record().name[:5], str(record())):
        assert json.loads(bench(f"show {name} --json").out) == summary


def test_the_null_attack_changes_nothing(bench):
    for command in (TINY, TINY + " --defense denoise-once --draws 3 --batch-size 2"):
        summary = json.loads(bench(command + " --json").out)
        assert summary["robust_accuracy"] == summary["clean_accuracy"]
        for rule in ("mean", "worst", "majority"):
            assert summary["draws"][rule] == summary["draws"]["null_" + rule]


def test_the_figures_are_those_of_the_lines(bench):
    summary = json.loads(bench(TINY + " --attack pgd-full -A steps=3 --threat linf:0.5 -n 4 --json").out)
    lines = [json.loads(line) for line in (record() / "samples.jsonl").read_text().splitlines()]
    clean, robust = (sum(line[which] == [line["label"]] for line in lines) / 4 for which in ("clean", "adversarial"))
    assert robust < clean
    for rule in ("mean", "worst", "majority"):
        assert (summary["draws"][rule], summary["draws"]["null_" + rule]) == (robust, clean)
    assert (summary["robust_accuracy"]["successes"], summary["clean_accuracy"]["successes"]) == (4 * robust, 4 * clean)


def test_the_summary_for_people(bench):
    out, _ = bench(ONCE)
    for part in (
        "denoise-once under pgd-full steps=2 losses=cw eot=2",
        "linf:16/255 · n = 2",
        "clean ",
        "robust ",
        "2 fresh draws",
    ):
        assert part in out
    shown = bench(f"show {record().name}").out
    assert shown.startswith(out.partition("\n\nnext")[0])


def test_a_repeated_run_adds_nothing(bench):
    first = json.loads(bench(TINY + " --json").out)
    before = {file: file.read_bytes() for file in record().rglob("*") if file.is_file()}
    assert json.loads(bench(TINY + " --json").out) == first
    assert {file: file.read_bytes() for file in record().rglob("*") if file.is_file()} == before


def test_more_images_continue_the_same_record(bench):
    short = json.loads(bench(TINY + " --json").out)
    before = (record() / "samples.jsonl").read_bytes()
    assert json.loads(bench(TINY + " -n 5 --json").out)["n"] == 5
    after = (record() / "samples.jsonl").read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == 5
    assert json.loads(bench(TINY + " --json").out) == short


def test_several_threats_are_as_many_runs_and_a_curve(bench):
    command = "run --defense none --attack pgd-full -A steps=3 --threat linf:32/255,linf:1/255 -n 6 --results results"
    document = json.loads(bench(command + " --json").out)
    assert [run["spec"]["threat"] for run in document["runs"]] == ["linf:1/255", "linf:32/255"]
    assert [point["run_id"] for point in document["curve"]] == [run["run_id"] for run in document["runs"]]
    worst = [point["worst"]["value"] for point in document["curve"]]
    assert worst[1] <= min(worst[0], document["runs"][1]["robust_accuracy"]["value"])
    alone = json.loads(bench(command.replace("linf:32/255,", "") + " --json").out)
    assert alone == document["runs"][0]
    out = bench(command).out
    assert "worst so far" in out
    assert out.count("record  results") == 2


def test_a_dry_run_tells_the_cost_and_leaves_nothing(bench):
    command = "run --defense none --attack pgd-full -A steps=3 --threat linf:1/2550 --results results"
    told = json.loads(bench(command + " -n 8 --dry-run --json").out)
    assert not Path("results").exists()
    forecast = told["forecast"]
    assert (forecast["done"], forecast["most"]["images"], forecast["probed"]) == (0, 8, 16)
    summary = json.loads(bench(command + " -n 8 --json").out)
    assert told["run_id"] == summary["run_id"]
    for kind in ("classifier_forward", "classifier_backward"):
        assert forecast["most"]["passes"][kind] == pytest.approx(summary["cost"][kind], rel=0.15)
    assert json.loads(bench(command + " -n 8 --dry-run --json").out)["forecast"]["most"]["images"] == 0
    assert "4 images to run, 8 done" in bench(command + " -n 12 --dry-run").out
    both = command.replace("linf:1/2550", "linf:1/2550,l2:1")
    assert [one["threat"] for one in json.loads(bench(both + " --dry-run --json").out)] == ["l2:1", "linf:1/2550"]


def test_a_dry_run_knows_who_falls_at_once(bench):
    command = "run --defense none --attack pgd-full --threat linf:32/255 -n 8 --dry-run --json"
    forecast = json.loads(bench(command).out)["forecast"]
    assert forecast["standing"] <= 0.25
    assert forecast["likely"]["seconds"] < forecast["most"]["seconds"] / 2


@pytest.mark.parametrize(
    "change",
    [
        "--seed 1",
        "--threat linf:8/255",
        "--attack random -A tries=2",
        "--defense denoise-once --draws 2 --batch-size 2",
    ],
)
def test_another_question_is_another_record(change, bench):
    bench(TINY)
    bench(f"{TINY} {change}")
    assert len(list(Path("results").glob("*/*/*"))) == 2


@pytest.mark.parametrize("change", ["--batch-size 1", "--device cpu", "-n 3", "--no-evidence"])
def test_how_a_run_is_executed_is_no_other_record(change, bench):
    bench(TINY)
    bench(f"{TINY} {change}")
    assert len(list(Path("results").glob("*/*/*"))) == 1


def test_no_evidence_is_kept_if_none_is_asked_for(bench):
    bench(TINY + " --no-evidence")
    assert sorted(file.name for file in record().rglob("*")) == ["SHA256SUMS", "run.json", "samples.jsonl"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_list(kind, bench):
    rows = json.loads(bench(f"list {kind} --json").out)
    text = bench(f"list {kind}").out
    assert rows
    for row in rows:
        assert {"name", "summary", "source", "installed"} <= set(row)
        assert isinstance(row["installed"], bool)
        assert row["name"] in text
        assert row["summary"] in text
    assert [row for row in json.loads(bench("list --json").out) if row["kind"] == kind] == [
        {"kind": kind, **row} for row in rows
    ]


def test_the_module_is_the_command_and_lists_without_torch():
    code = "import sys, runpy; sys.argv = ['bench', 'list']\ntry: runpy.run_module('bench', run_name='__main__')\nexcept SystemExit as end: assert not end.code\nassert 'torch' not in sys.modules"
    as_module = subprocess.run([sys.executable, "-m", "bench", "list"], capture_output=True, text=True)
    in_process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (as_module.returncode, as_module.stderr) == (in_process.returncode, in_process.stderr) == (0, "")
    assert as_module.stdout == in_process.stdout
    assert as_module.stdout.startswith("defenses\n  none ")


def test_trained_weights_are_a_classifier(bench):
    grey = np.add.outer(np.arange(150) % 3 * 80, np.arange(64) % 7).reshape(150, 8, 8).astype(np.uint8)
    np.savez("own.npz", images=grey, labels=np.arange(150) % 3)
    out, err = bench("train classifier --dataset npz:own.npz --epochs 1 --out own")
    assert Path(out.strip()) == Path("own/model.safetensors")
    assert err.startswith("epoch 1/1  loss ")
    run = "run --json --dataset npz:own.npz --threat l2:0.5 --defense none --attack null -n 3 --results results"
    summary = json.loads(bench(f"{run} --classifier weights:own/model.safetensors").out)
    assert summary["spec"]["classifier"]["name"] == "weights:own/model.safetensors"
    assert (summary["spec"]["dataset"]["name"], summary["spec"]["threat"], summary["n"]) == ("npz-own", "l2:0.5", 3)


def test_the_leaderboard_in_each_form(bench):
    bench(TINY)
    bench(TINY + " --attack random -A tries=2")
    bench(TINY + " --defense denoise-once --draws 2 --batch-size 2")
    rows = json.loads(bench("leaderboard --results results --format json").out)
    assert json.loads(bench("leaderboard --results results --json").out) == rows
    assert {
        "defense", "attack", "dataset", "threat", "n", "clean", "robust", "worst_case", "believed", "flags", "run_ids",
    } <= set(rows[0])  # fmt: skip
    pairs = [("denoise-once", "null"), ("none", "null"), ("none", "random tries=2")]
    assert sorted((row["defense"], row["attack"]) for row in rows) == pairs
    table = bench("leaderboard --results results").out
    assert table.startswith(
        "### fashion-mnist, linf:16/255 (required: full gradient, AutoAttack, black box, transfer; n = 2)\n"
    )
    runs = bench("leaderboard --results results --runs").out
    assert all(row["run_ids"][0] in runs for row in rows)
    assert bench("leaderboard --results results --runs --out board.md") == ("board.md\n", "")
    assert Path("board.md").read_text() == runs
    assert bench("leaderboard --results results --threat linf:16/255 --dataset fashion-mnist").out == table
    assert main(["leaderboard", "--results", "results", "--threat", "l2:1"]) == 2


def test_doctor_finds_nothing_that_fails(bench):
    findings = json.loads(bench("doctor --json").out)
    assert {"python", "torch", "packages", "device", "fashion-mnist", "fashion-mnist-classifier"} <= {
        finding["name"] for finding in findings
    }
    assert {finding["status"] for finding in findings} <= {"ok", "note"}
    assert all(finding["name"] in bench("doctor").out for finding in findings[:1])


def test_quiet_is_silent_on_stderr(bench):
    for command in (TINY, TINY + " --json --seed 1", "run --defense none --attack null -n 51 --results results"):
        assert bench(command + " --quiet").err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(command, bench):
    out, err = bench(f"{command} --help")
    assert f"Usage: bench{' ' * bool(command)}{command}" in out
    assert "Example: bench " in " ".join(out.split())
    assert err == ""


def test_no_command_shows_the_help(bench):
    assert bench("") == bench("--help")


MINE = '''
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Fade:
    """Pulls pixels to grey.

    Arguments:
        rate: The part of the way,
            in [0, 1].
        goal: Grey.
    """

    deterministic: ClassVar[bool] = True

    rate: float
    goal: tuple[float, ...] = (0.5, 0.25)

    def purify(self, x, noise):
        return x
'''


def test_one_of_a_list_says_what_it_is_and_what_it_takes(bench):
    lines = bench("list attacks pgd-full").out.splitlines()
    told = {row["name"]: row for row in json.loads(bench("list attacks --json").out)}["pgd-full"]
    assert lines[0] == "pgd-full  attack, built-in (attacks.pgd:pgd)"
    assert " ".join(lines[1 : lines.index("")]).split() == told["summary"].split()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("  -A steps=20 ") for line in lines)
    assert lines[-1] == "  bench run --attack pgd-full -A steps=20"
    one = json.loads(bench("list attacks pgd-full --json").out)
    assert {key: one[key] for key in told} == told
    assert {"name": "steps", "default": 20, "required": False} in [
        {key: row[key] for key in ("name", "default", "required")} for row in one["arguments"]
    ]


def test_a_preset_shows_the_arguments_that_it_fixes(bench):
    rows = {row["name"]: row["default"] for row in json.loads(bench("list attacks fgsm --json").out)["arguments"]}
    assert rows["steps"] == 1
    assert all(row["name"] != "score" for row in json.loads(bench("list defenses dpsam --json").out)["arguments"])


def test_one_of_ones_own(bench):
    Path("mine.py").write_text(MINE)
    assert bench("list defenses mine.py:Fade").out.splitlines() == [
        "mine.py:Fade  defense, given by its path",
        "  Pulls pixels to grey.",
        "",
        "  -D rate=VALUE     The part of the way, in [0, 1].",
        "  -D goal=0.5,0.25  Grey.",
        "",
        "  bench run --defense mine.py:Fade -D rate=VALUE",
    ]
    one = json.loads(bench("list defenses mine.py:Fade --json").out)
    assert one["arguments"] == [
        {"name": "rate", "default": None, "required": True, "summary": "The part of the way, in [0, 1]."},
        {"name": "goal", "default": [0.5, 0.25], "required": False, "summary": "Grey."},
    ]


def test_one_without_arguments_and_one_check(bench):
    assert bench("list defenses none").out.splitlines()[-3:] == [
        "  it takes no arguments",
        "",
        "  bench run --defense none",
    ]
    (row,) = [row for row in json.loads(bench("list checks --json").out) if row["name"] == "leak"]
    assert json.loads(bench("list checks leak --json").out) == row | {"arguments": []}
    assert bench("list checks leak").out.splitlines()[-1] == "  bench audit RUN --only leak"


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_of_every_list_can_be_shown(kind, bench):
    for row in json.loads(bench(f"list {kind} --json").out)[:40]:
        if row["installed"] and not row["name"].split(":")[-1].isupper():
            assert json.loads(bench(f"list {kind} {row['name']} --json").out)["name"] == row["name"]
