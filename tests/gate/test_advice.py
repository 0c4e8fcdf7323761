"""What the gate says to somebody who sees it for the first time: which way it went, and a next step that leads somewhere."""

import json
import shlex
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.cli.main import main

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
    """A purifier of one's own, with a record and a baseline of it."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "own.py").write_text(PURIFIER)
        assert main(RUN) == 0
        assert main([*CHECK, *UPDATE]) == 0
    return folder


@pytest.fixture
def own(made, tmp_path, monkeypatch, forget_files, capsys):
    """A copy of it as the working folder; writes the purifier anew."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "own.py").write_text(text)
        forget_files()

    write(PURIFIER)
    capsys.readouterr()
    return write


def heard(capsys, *words, code=0):
    """What a command printed, with one blank between two words."""
    assert main([*CHECK, *words]) == code
    captured = capsys.readouterr()
    return captured.out, " ".join((captured.out + captured.err).split())


def test_the_advice_after_a_red_without_run_leads_to_green(own, capsys):
    own(OTHER)
    text, said = heard(capsys, code=1)
    assert "exact tier" not in text
    assert "records of other code than today's, n = 20" in said
    assert "these results are of other code than today's (defense content " in said
    advice = text.rstrip().splitlines()[-1]
    assert advice.endswith('check --baseline baseline --results now --run --update --reason "why"')
    _, said = heard(capsys, *UPDATE)
    assert said == "0 rows changed in baseline: your code is not that of these results; add --run"
    command = shlex.split(advice.partition(": ")[2])
    assert main([*command[1:], "--quiet"]) == 0
    heard(capsys, "--run", "--quiet")


def test_what_is_the_same_in_baseline_and_result_is_told_once(own, capsys):
    own(OTHER)
    text, _ = heard(capsys, code=1)
    assert text.count("scored again (baseline and result): ") == 1
    assert text.count("computes something else") == 1
    main([*CHECK, "--json"])
    checks = [finding["check"] for finding in json.loads(capsys.readouterr().out)["rows"][0]["findings"]]
    assert {"scored again (baseline)", "scored again (result)"} <= set(checks)


def test_a_first_baseline_leaves_out_what_other_code_made(own, capsys):
    own(OTHER)
    assert main(RUN) == 0
    capsys.readouterr()
    _, said = heard(capsys, "--baseline", "second", *UPDATE)
    assert "1 row made in second" in said
    (old,) = Path("baseline").glob("*/*/*/run.json")
    assert f"left out, made by other code than today's: now/{old.parent.relative_to('baseline')}" in said
    assert len(list(Path("second").glob("*/*/*/run.json"))) == 1
    heard(capsys, "--baseline", "second", "--run", "--quiet")
    own(PURIFIER.replace("0.25", "0.2"))
    _, said = heard(capsys, "--baseline", "third", *UPDATE, code=2)
    assert "expected results of today's code to make a baseline of, got only such whose code is gone: now/" in said


def test_a_row_whose_code_is_gone(own, capsys):
    own(OTHER)
    assert main(RUN) == 0
    (old,) = Path("baseline").glob("*/*/*/")
    (new,) = (path for path in Path("now").glob("*/*/*/") if path.name != old.name)
    capsys.readouterr()
    _, said = heard(capsys, *UPDATE, "--add", new.name)
    assert f"own.py:Grey under pgd-full steps=2 (fashion-mnist linf:4/255) [{new.name}]: " in said
    for made in ([], ["--run", "--quiet"]):
        text, said = heard(capsys, *made, code=1)
        assert f"code: this row was made by code that is gone, and {new.name} is the same by today's" in said
        assert "nothing to compare with" in said
        assert "add --run" not in said
        assert f"(fashion-mnist linf:4/255) {old.name} [code]" in said
        assert text.rstrip().endswith(f"remove the rows whose code is gone: rm -r {old}")
    shutil.rmtree(old)
    heard(capsys, "--run", "--quiet")
    own(PURIFIER)
    _, said = heard(capsys, "--baseline", "third", *UPDATE, "--add", new.name)
    assert f"[{new.name}] was made by other code than today's" in said


def test_a_red_says_first_which_way_it_went_and_lists_real_flips(own, capsys):
    own(OTHER)
    text, said = heard(capsys, "--run", "--quiet", code=1)
    document = json.loads(_json(capsys, "--run"))
    row = document["rows"][0]
    (before, after), (old, new) = row["accuracy"]["robust"], row["accuracy"]["clean"]
    assert (before, old) != (after, new)
    lines = text.splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("  FAIL"))
    assert lines[place].startswith("  FAIL  scored again (baseline): robust accuracy on the stored images ")
    assert f"with the attack run again: robust {_moved(before, after)}, clean {_moved(old, new)}" in said
    below = next(place for place, line in enumerate(lines) if "with the attack run again" in line)
    assert all(line.startswith("        ") and " image " not in line for line in lines[place + 1 : below])
    flips = [flip for finding in row["findings"] if finding["passed"] is False for flip in finding["flips"]]
    assert flips
    assert all(flip["before"] != flip["after"] for flip in flips)
    assert text.count("        image ") == min(5, len(flips))
    assert (f"and {len(flips) - 5} more" in said) is (len(flips) > 5)
    assert max(len(line) for line in lines[:-1]) <= 80


def _json(capsys, *words):
    main([*CHECK, *words, "--quiet", "--json"])
    return capsys.readouterr().out


def _moved(before, after):
    old, new = f"{100 * before:.1f}", f"{100 * after:.1f}"
    return f"{new} % as before" if old == new else f"{old} -> {new} %"


def test_a_baseline_on_the_floor_is_told(own, capsys):
    other = {"linf:4/255": "linf:20/255", "steps=2": "steps=10", "now": "floor"}
    assert main([other.get(word, word) for word in RUN]) == 0
    capsys.readouterr()
    _, said = heard(capsys, "--baseline", "low", "--results", "floor", *UPDATE)
    assert "(fashion-mnist linf:20/255) is on the floor, 0.0 % robust: a loss of robustness cannot show there" in said
    assert "try a smaller ball, --threat linf:10/255" in said
    _, said = heard(capsys, "--baseline", "high", "--results", "now", *UPDATE)
    assert "1 row made in high" in said
    assert "is on the floor" not in said


def test_an_argument_that_was_renamed(own, capsys):
    other = ["times=2" if word == "steps=2" else word for word in RUN]
    other[other.index("-A")] = "-D"
    assert main([*other, "-A", "steps=2"]) == 0
    own(PURIFIER)
    assert main([*CHECK, *UPDATE, "--add", _newest("now", "baseline")]) == 0
    own(PURIFIER.replace("times", "rounds"))
    capsys.readouterr()
    _, said = heard(capsys, "--run", "--quiet", "--results", "fresh", code=2)
    assert not Path("fresh").exists()
    assert "expected the arguments of the baseline's row own.py:Grey" in said
    assert "got 'times'" in said
    assert "the argument comes from the baseline: restore it, or renew the row: bench run --defense own.py:Grey" in said
    while " renew the row: " in said:
        for command in said.partition(" renew the row: ")[2].split(" && "):
            assert main([*shlex.split(command)[1:], "--quiet"]) == 0
        out = capsys.readouterr().out
        assert "(defense: times gone, rounds new: " in out
        main([*CHECK, "--run", "--quiet", "--results", "fresh"])
        said = " ".join("".join(capsys.readouterr()).split())
    assert said.endswith("passed: 2 rows as in the baseline")


def _newest(results, baseline):
    ids = [{path.name for path in Path(folder).glob("*/*/*/")} for folder in (results, baseline)]
    (new,) = ids[0] - ids[1]
    return new


def test_another_folder(own, tmp_path, monkeypatch, capsys):
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert main(["check", "--baseline", "../baseline", "--results", "../now", "--run", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert f"expected the file of the defense 'own.py:Grey' in {tmp_path / 'sub'}, got no file own.py there" in said
    assert "relative to the folder where it was made" in said


def test_names_in_junit_repeat_neither_suite_nor_class(own, tmp_path, capsys):
    heard(capsys, "--junit", "report.xml")
    (suite,) = ElementTree.parse("report.xml").getroot()
    assert {"spec", "images", "predictions"} <= {case.get("name") for case in suite}
    assert suite.get("name").startswith("own.py:Grey under ")


def plugin(pytester, *words):
    return pytester.runpytest("-p", "no:cacheprovider", "-p", "no:randomly", *words)


def test_the_plugin_shows_what_it_makes_and_how_many_tests_it_adds(own, pytester, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = plugin(pytester, "--purebench-baseline", "baseline", "--purebench-results", "new", "--purebench-run")
    done.stdout.fnmatch_lines(["*and 2 tests of purebench for the baseline baseline", "making *: own.py:Grey under *"])
    done.assert_outcomes(passed=2)


def test_the_plugin_wants_a_baseline_and_states_its_defaults(pytester):
    done = plugin(pytester, "--purebench-run")
    done.stderr.fnmatch_lines(["*expected --purebench-baseline DIR with --purebench-run, got none; name*"])
    said = " ".join(str(plugin(pytester, "--help").stdout).split())
    for default in ("results", "1.0", "0.01", "no"):
        assert f"[default: {default}]" in said


def test_what_breaks_one_defense_leaves_the_rows_of_others(own, pytester, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["none" if word == "own.py:Grey" else word for word in RUN]) == 0
    assert main([*CHECK, *UPDATE, "--add", _newest("now", "baseline")]) == 0
    own(PURIFIER + "x = (\n")
    words = ["--purebench-baseline", "baseline", "--purebench-results", "new", "--purebench-run"]
    done = plugin(pytester, *words)
    done.assert_outcomes(passed=2, failed=1)
    done.stdout.fnmatch_lines(["*expected to import the defense 'own.py:Grey', got SyntaxError*"])
    own(PURIFIER.replace("return x", "raise ValueError('no')"))
    done = plugin(pytester, *words[:2], "--purebench-results", "now")
    done.assert_outcomes(passed=2, failed=1)
    done.stdout.fnmatch_lines(["*FAIL*stored images (baseline and result): *"])
