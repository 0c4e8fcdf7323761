"""Rows of a baseline whose code changed, is gone or takes other arguments; results that replace rows; the pytest plugin."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.cli.main import main
from bench.figures.runs import same_environment
from bench.records.header import Environment

pytest_plugins = "pytester"

PURIFIER = (
    "from dataclasses import dataclass\n"
    "from typing import ClassVar\n"
    "@dataclass(frozen=True, kw_only=True)\n"
    "class Grey:\n"
    "    deterministic: ClassVar[bool] = True\n"
    "    times: int = 1\n"
    "    def purify(self, x, noise):\n"
    "        for _ in range(self.times):\n"
    "            x = x / 2 + 0.25\n"
    "        return x\n"
)
OTHER = PURIFIER.replace("0.25", "0.1")
RUN = ["run", "--defense", "own.py:Grey", "-A", "steps=2", "-n", "20", "--threat", "linf:4/255", "--quiet"]
RUN += ["--results", "now"]
CHECK = ["check", "--baseline", "baseline", "--results", "now"]
UPDATE = ["--update", "--reason", "why"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A purifier with a record and a baseline of it."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "own.py").write_text(PURIFIER)
        assert main(RUN) == 0
        assert main([*CHECK, *UPDATE]) == 0
    return folder


@pytest.fixture
def own(made, tmp_path, monkeypatch, forget_files, capsys):
    """A copy of it as the working folder; writes another purifier."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "own.py").write_text(text)
        forget_files()

    write(PURIFIER)
    capsys.readouterr()
    return write


def report(capsys, *words, code=0):
    capsys.readouterr()
    assert main([*CHECK, *words, "--json", "--quiet"]) == code
    return json.loads(capsys.readouterr().out)


def rows(folder):
    return {path.name for path in Path(folder).glob("*/*/*/")}


def test_results_of_changed_code_and_their_renewal(own, capsys):
    own(OTHER)
    (row,) = report(capsys, code=1)["rows"]
    found = {finding["check"]: finding for finding in row["findings"]}
    assert found["code"]["passed"] is None
    assert row["other_code"] != []
    assert row["other_code"][0].startswith("defense content ")
    assert {check for check, finding in found.items() if finding["passed"] is False} == {
        "scored again (baseline)",
        "scored again (result)",
    }
    assert report(capsys, *UPDATE) == {"changed": [], "left_out": [], "notes": []}
    assert len(report(capsys, "--run", *UPDATE)["changed"]) == 1
    assert report(capsys, "--run")["passed"]


def test_the_keys_of_a_row(own, capsys):
    (row,) = report(capsys)["rows"]
    assert set(row) == {
        "name", "run_id", "result_id", "tier", "n", "findings", "changes", "power", "accuracy", "other_code", "gone", "passed",
    }  # fmt: skip
    assert {key for finding in row["findings"] for key in finding} == {"check", "passed", "detail", "flips"}


def test_a_first_baseline_leaves_out_results_of_changed_code(own, capsys):
    own(OTHER)
    assert main(RUN) == 0
    (old,) = rows("baseline")
    done = report(capsys, "--baseline", "second", *UPDATE)
    assert [Path(folder).name for folder in done["left_out"]] == [old]
    assert rows("second") == rows("now") - {old}
    own(PURIFIER.replace("0.25", "0.2"))
    assert main([*CHECK, "--baseline", "third", *UPDATE]) == 2
    assert "[gate-code-changed]" in capsys.readouterr().err


def test_a_row_whose_code_is_gone_fails(own, capsys):
    own(OTHER)
    assert main(RUN) == 0
    (old,) = rows("baseline")
    report(capsys, *UPDATE, "--add", *(rows("now") - {old}))
    found = report(capsys, "--run", "--results", "fresh", code=1)["rows"]
    failed = [row for row in found if not row["passed"]]
    assert [(row["run_id"], row["tier"]) for row in failed] == [(old, "missing")]
    shutil.rmtree(next(Path("baseline").glob(f"*/*/{old}")))
    assert report(capsys, "--run")["passed"]


def test_an_argument_that_no_longer_exists_is_refused_before_anything_runs(own, capsys):
    own(PURIFIER.replace("times", "rounds"))
    capsys.readouterr()
    assert main([*CHECK, "--run", "--quiet", "--results", "fresh"]) == 2
    said = capsys.readouterr().err
    assert "own.py:Grey" in said
    assert "[gate-argument-removed]" in said
    assert not Path("fresh").exists()


def test_a_result_replaces_only_the_nearest_row(own, capsys):
    """Two rows that differ in the attack's steps; the one new result differs from each, and from the second in less."""
    more = ["steps=4" if word == "steps=2" else word for word in RUN]
    assert main([*more, "-A", "losses=cw"]) == 0
    report(capsys, *UPDATE, "--add", *(rows("now") - rows("baseline")))
    before = rows("baseline")
    new = ["steps=5" if word == "steps=2" else "other" if word == "now" else word for word in RUN]
    assert main([*new, "-A", "losses=cw"]) == 0
    assert len(report(capsys, "--results", "other", *UPDATE)["changed"]) == 1
    assert len(rows("baseline")) == len(before)
    assert len(rows("baseline") & before) == 1


def test_a_row_that_cannot_show_a_loss_is_noted(own, capsys):
    other = {"linf:4/255": "linf:20/255", "steps=2": "steps=10", "now": "floor"}
    assert main([other.get(word, word) for word in RUN]) == 0
    (note,) = report(capsys, "--baseline", "low", "--results", "floor", *UPDATE)["notes"]
    assert "is 0.0 % robust" in note
    assert report(capsys, "--baseline", "high", *UPDATE)["notes"] == []


def test_names_in_junit_repeat_neither_suite_nor_class(own, capsys):
    report(capsys, "--junit", "report.xml")
    (suite,) = ElementTree.parse("report.xml").getroot()
    assert {"spec", "images", "predictions"} <= {case.get("name") for case in suite}
    assert suite.get("name").startswith("own.py:Grey under ")


@pytest.mark.parametrize(
    ("parts", "same"),
    [
        ([("2", "avx"), ("2", "avx")], True),
        ([("2", "avx"), ("2", "avx"), ("2", "neon")], False),
        ([("2", None), ("2", None)], False),
        ([], False),
    ],
)
def test_environments_of_the_same_bits(parts, same):
    keys = {"device": "cpu", "batch_size": 16}
    assert same_environment(*(Environment(torch=torch, instructions=kind, **keys) for torch, kind in parts)) is same


def plugin(pytester, *words):
    return pytester.runpytest("-p", "no:cacheprovider", "-p", "no:randomly", *words)


def test_the_plugin_makes_what_is_missing_and_reports_what_changed(own, pytester, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--purebench-baseline", "baseline", "--purebench-results", "new", "--purebench-run"]
    plugin(pytester, *words).assert_outcomes(passed=2)
    own(OTHER)
    done = plugin(pytester, *words)
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*FAIL  scored again (baseline): *", "if the change is intended: bench check *"])


def test_the_plugin_wants_a_baseline_and_states_its_defaults(pytester):
    done = plugin(pytester, "--purebench-run")
    done.stderr.fnmatch_lines(["*expected --purebench-baseline DIR with --purebench-run, got none; name*"])
    said = " ".join(str(plugin(pytester, "--help").stdout).split())
    for default in ("results", "1.0", "0.01", "no"):
        assert f"[default: {default}]" in said
