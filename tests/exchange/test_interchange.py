"""Comparisons, RobustBench's JSON both ways, tensors of adversarial images, and the gate as a pytest plugin."""

import json
import shutil

import numpy.fft  # noqa: F401 - before pytester, which unloads what is imported inside of it, and this cannot be loaded twice
import pytest
import torch
from records_for_tables import full_set, header, record
from safetensors.numpy import load_file

from bench.cli.main import main

pytest_plugins = ["pytester"]
REFERENCE = {
    "link": "https://arxiv.org/abs/1", "name": "A Defense", "authors": "A. Author", "additional_data": False,
    "number_forward_passes": 1, "dataset": "cifar10", "venue": "X 2020", "architecture": "WRN", "eps": "8/255",
    "clean_acc": "89.69", "reported": "60.0", "autoattack_acc": "59.53", "external": "58.10", "unreliable": True, "footnote": "odd",
}  # fmt: skip


@pytest.fixture
def results(tmp_path):
    full_set(tmp_path / "results", "a", "best", "1" * 8 + "00", others="1111111101")
    record(tmp_path / "results", header("b0", "low"), "1" * 2 + "0" * 8)
    return tmp_path / "results"


def test_two_runs_are_compared_both_ways(results, capsys):
    assert main(["compare", "a0", "b0", "--results", str(results), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    robust = found["changes"][1]
    assert (found["n"], robust["lost"], robust["won"]) == (10, 6, 0)
    assert robust["p"] == pytest.approx(2 / 2**6)
    assert robust["corrected"] == pytest.approx(4 / 2**6)
    assert robust["difference"]["value"] == pytest.approx(-0.6)
    assert found["differ"] == ["defense best -> low"]
    assert main(["compare", "a0", "b0", "--results", str(results)]) == 0
    text = capsys.readouterr().out
    assert "10 images of both" in text
    assert "-60.0 [" in text
    assert "  2      1      1  0  0" in text


def test_two_folders_are_compared_run_by_run(results, tmp_path, capsys):
    shutil.copytree(results, tmp_path / "other")
    assert main(["compare", str(results), str(tmp_path / "other"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) == 5
    assert {change["p"] for part in found for change in part["changes"]} == {1.0}
    (tmp_path / "empty").mkdir()
    assert main(["compare", str(results), str(tmp_path / "empty")]) == 2
    assert "[compare-unmatched]" in capsys.readouterr().err


def test_runs_of_different_data_are_not_compared(results, capsys):
    other = header("z0", "best")
    other["spec"]["dataset"] = {"name": "other", "sha256": "bb"}
    record(results, other, "11")
    assert main(["compare", "a0", "z0", "--results", str(results)]) == 2
    assert "[compare-data-differ]" in capsys.readouterr().err


def test_export_to_robustbench(results, capsys):
    assert main(["export", "a1", "--results", str(results), "-M", "authors=We", "-M", "venue=Here"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == REFERENCE.keys()
    assert (found["clean_acc"], found["autoattack_acc"], found["external"]) == ("100.00", "90.00", "80.00")
    assert (found["eps"], found["authors"], found["venue"], found["number_forward_passes"]) == (
        "8/255",
        "We",
        "Here",
        5,
    )
    assert "10 images; external: worst case per image over pgd-full" in found["footnote"]
    assert main(["export", "a1", "--results", str(results), "-M", "magic=1"]) == 2
    assert "[model-info-key-unknown]" in capsys.readouterr().err


def test_import_from_robustbench_is_shown_apart(results, tmp_path, capsys):
    folder = tmp_path / "model_info" / "toy" / "Linf"
    folder.mkdir(parents=True)
    (folder / "A.json").write_text(json.dumps(REFERENCE | {"dataset": "toy"}))
    (folder / "B.json").write_text(json.dumps(REFERENCE | {"external": "", "name": "Other"}))
    assert main(["import", str(folder / "A.json"), str(folder / "B.json"), "--results", str(results)]) == 0
    capsys.readouterr()
    assert main(["leaderboard", "--results", str(results), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    found = {row["defense"]: row for row in rows if row["status"] == "imported"}
    assert (found["A Defense"]["robust"], found["A Defense"]["dataset"]) == (pytest.approx(0.581), "toy")
    assert found["A Defense"]["flags"] == ["imported", "unreliable"]
    assert (found["Other"]["robust"], found["Other"]["dataset"]) == (pytest.approx(0.5953), "cifar10")
    assert main(["leaderboard", "--results", str(results), "--dataset", "toy"]) == 0
    text = capsys.readouterr().out
    assert "### toy, linf:8/255: imported for reference" in text
    assert "| A Defense | 89.69" in " ".join(text.split())


@pytest.mark.parametrize(
    ("content", "words", "code"),
    [
        ("{", [], "model-info-damaged"),
        (json.dumps(REFERENCE), [], "model-info-threat"),
        (json.dumps({"name": "x"}), ["--threat", "linf:8/255"], "model-info-damaged"),
    ],
)
def test_imports_that_are_wrong(content, words, code, tmp_path, capsys):
    (tmp_path / "x.json").write_text(content)
    assert main(["import", str(tmp_path / "x.json"), "--results", str(tmp_path), *words]) == 2
    assert f"[{code}]" in capsys.readouterr().err


def test_adversarial_images_as_a_tensor_in_test_set_order(tmp_path, capsys):
    results = tmp_path / "results"
    assert main(f"run --defense none -A steps=1 -n 6 --quiet --device cpu --results {results}".split()) == 0
    (path,) = (file.parent for file in results.glob("*/*/*/run.json"))
    capsys.readouterr()
    assert main(["export", path.name, "--to", "pt", "--out", str(tmp_path / "x.pt"), "--results", str(results)]) == 0
    stored = load_file(path / "adversarial" / "00000.safetensors")
    found = torch.load(tmp_path / "x.pt", weights_only=True)
    assert found.dtype == torch.float32
    assert torch.equal(found, torch.from_numpy(stored["images"][stored["ids"].argsort()]))
    assert main(["export", path.name, "--to", "pt", "--results", str(results)]) == 2
    assert "[export-format]" in capsys.readouterr().err
    (path / "samples.jsonl").write_bytes((path / "samples.jsonl").read_bytes() + b"\n")
    assert main(["export", path.name, "--to", "pt", "--out", str(tmp_path / "x.pt"), "--results", str(results)]) == 2
    assert "[tensor-record-changed]" in capsys.readouterr().err
    shutil.rmtree(path / "adversarial")
    assert main(["export", path.name, "--to", "pt", "--out", str(tmp_path / "x.pt"), "--results", str(results)]) == 2
    assert "[tensor-no-evidence]" in capsys.readouterr().err


def test_the_plugin_has_a_test_for_each_row(results, tmp_path, pytester):
    shutil.copytree(results, tmp_path / "baseline")
    words = [
        "-p",
        "no:cacheprovider",
        "--purebench-baseline",
        str(tmp_path / "baseline"),
        "--purebench-results",
        str(results),
    ]
    plugin = [] if _installed() else ["-p", "bench.gate.plugin"]
    pytester.runpytest_inprocess(*plugin, *words).assert_outcomes(passed=6)
    file = results / "toy" / "linf-8-255" / "b0" / "samples.jsonl"
    file.write_text(file.read_text().replace('"adversarial":[0]', '"adversarial":[1]'))
    done = pytester.runpytest_inprocess(*plugin, *words)
    done.assert_outcomes(passed=5, failed=1)
    done.stdout.fnmatch_lines(
        [
            "low under pgd-full (toy linf:8/255)",
            "  run b0, *n = 10",
            "  FAIL  seal (result):*",
            "*samples.jsonl changed*",
            "if the change is intended: bench check --baseline *",
        ]
    )
    ended = pytester.runpytest_subprocess(*plugin, *words[:5], str(tmp_path / "empty"), "--purebench-run")
    ended.assert_outcomes(failed=6)  # each row with the one sentence
    ended.stdout.fnmatch_lines(["expected a *"])
    assert "Traceback" not in ended.stdout.str()
    done = pytester.runpytest_inprocess(*plugin, "--purebench-baseline", str(tmp_path / "nowhere"))
    assert done.ret == pytest.ExitCode.USAGE_ERROR


def _installed():
    from importlib.metadata import entry_points

    return any(point.name == "purebench" for point in entry_points(group="pytest11"))
