"""`bench show` says what was run, under which content, whether the files are whole, and a command that makes the same run."""

import json
import shlex
from pathlib import Path

import pytest

from bench.cli.main import main

WORDS = "run --defense tweedie -D sigma=0.2 --attack pgd-full -A steps=2 -A losses=cw -n 8 --quiet --device cpu --results results"


@pytest.fixture
def shown(tmp_path, monkeypatch, capsys):
    """A record, and a function that shows it as a mapping from the first words of the last lines to the rest."""
    monkeypatch.chdir(tmp_path)
    assert main(WORDS.split()) == 0
    (path,) = Path("results").glob("*/*/*")

    def show():
        capsys.readouterr()
        assert main(["show", path.name]) == 0
        text = capsys.readouterr().out
        *_, parts, steps = text.split("\n\n")
        assert max(map(len, parts.splitlines())) <= 80
        width = next(line.index("tweedie") for line in parts.splitlines() if line.startswith("defense"))
        found, name = {"again": steps.splitlines()[2].strip()}, ""
        for line in parts.splitlines():
            name = line[:width].strip() or name
            found[name] = f"{found.get(name, '')} {line[width:]}".strip()
        return found

    return path, show


def test_a_record_in_a_few_lines(shown):
    path, show = shown
    header, lines = json.loads((path / "run.json").read_text()), show()
    assert lines["defense"] == "tweedie sigma=0.2"
    assert lines["attack"].startswith("pgd-full steps=2 step_size=none schedule=cosine restarts=1 losses=cw ")
    assert lines["classifier"] == f"fashion-mnist-cnn (content {header['spec']['classifier']['sha256'][:12]})"
    assert lines["images"] == "8, the first of the data set's order; 1 draw each, seed 0"
    assert lines["checks"] == f"{len(header['checks']['claims'])} passed"
    assert lines["seal"] == "every file is unchanged since it was sealed"


def test_a_sentence_to_cite_has_all_that_a_reader_needs(shown):
    path, show = shown
    run = json.loads((path / "run.json").read_text())["run_id"]
    text = show()["to cite"]
    assert text.endswith(
        "of the first 8 fashion-mnist images withstand pgd-full steps=2 losses=cw at linf:20/255 with tweedie sigma=0.2, an upper bound; "
        f"not audited (purebench run {run})"
    )


def test_the_command_makes_the_same_run(shown, monkeypatch):
    path, show = shown
    words = shlex.split(show()["again"])
    assert words[:2] == ["bench", "run"]
    assert main([*words[1:], "--quiet", "--device", "cpu", "--results", "again"]) == 0
    assert [one.name for one in Path("again").glob("*/*/*")] == [path.name]


def test_a_broken_seal_and_a_failed_check_are_said(shown):
    path, show = shown
    header = json.loads((path / "run.json").read_text())
    header["checks"]["claims"][0] |= {"verdict": "failed"}
    claim = header["checks"]["claims"][0]
    (path / "run.json").write_text(json.dumps(header))
    lines = show()
    assert lines["seal"].startswith("BROKEN: run.json")
    failed = f"{claim['check']} failed: {claim['meaning']}"
    assert lines["checks"] == f"{len(header['checks']['claims']) - 1} passed, 1 failed {failed}"
    (path / "SHA256SUMS").unlink()
    assert show()["seal"] == "none: the run is not complete"


def test_the_page_leaves_out_the_purified_images_of_code_that_is_another_now(
    tmp_path, monkeypatch, forget_files, capsys
):
    monkeypatch.chdir(tmp_path)
    code = "class Own:\n    deterministic = True\n    def purify(self, x, noise): return x\n"
    Path("own.py").write_text(code)
    assert (
        main(
            [
                "run",
                "--defense",
                "own.py:Own",
                "--attack",
                "pgd-full",
                "-A",
                "steps=1",
                "-A",
                "losses=cw",
                "-n",
                "2",
                "--quiet",
            ]
        )
        == 0
    )
    (path,) = Path("results").glob("*/*/*")
    page = ["leaderboard", "--format", "html", "--out", "page.html", "--purified"]
    assert main(page) == 0
    assert "no purified images" not in capsys.readouterr().err
    whole = Path("page.html").read_text()
    Path("own.py").write_text(code + "# edited\n")
    forget_files()
    assert main(page) == 0
    err = capsys.readouterr().err
    assert err.startswith(
        f"bench: no purified images of run {path.name}: expected the parts of run {path.name} as they were, got changes: defense content "
    )
    assert '"pure"' in whole
    assert '"pure"' not in Path("page.html").read_text()
