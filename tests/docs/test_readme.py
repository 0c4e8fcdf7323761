"""The README's commands and snippets do what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.suite.cells import cells_of
from bench.suite.file import read_suite
from bench.text.words import percent

ROOT = Path(__file__).parent.parent.parent
README, SCALE = ((ROOT / page).read_text() for page in ("README.md", "docs/scale.md"))


def block(mark):
    return re.search(rf"<!-- {mark} -->\n```\w+\n(.*?)```", README, re.DOTALL).group(1)


def test_the_snippet_is_short_passes_the_kit_and_runs(tmp_path, monkeypatch, capsys):
    snippet = block("snippet")
    assert len(snippet.splitlines()) < 30
    (tmp_path / "median.py").write_text(snippet)
    monkeypatch.chdir(tmp_path)
    check, attack = block("snippet commands").splitlines()
    assert check == "python median.py"
    done = subprocess.run([sys.executable, "median.py"], capture_output=True, text=True, check=True)
    assert done.stdout.count("ok    ") == 7
    (tmp_path / "broken.py").write_text(snippet.replace("return x\n", "return x.detach()\n"))
    done = subprocess.run([sys.executable, "broken.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.count("ok    ")) == (1, "", 6)
    words = attack.removeprefix("bench ").split()
    assert main([*words[:-1], "2", "-A", "steps=2", "--quiet"]) == 0
    assert "median.py:Median rounds=2 under pgd-full steps=2" in capsys.readouterr().out


def test_the_python_section_is_short_and_gives_the_number_of_the_command_line(tmp_path, monkeypatch, capsys):
    """Run as it is printed; the same purifier in a file has the same number."""
    snippet = block("python")
    assert len(snippet.splitlines()) <= 12
    (tmp_path / "own.py").write_text(snippet)
    (tmp_path / "blur.py").write_text(snippet.split("result =")[0].replace("purify(self, x)", "purify(self, x, noise)"))
    monkeypatch.chdir(tmp_path)
    told = subprocess.run(
        [sys.executable, "own.py"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with open("blur.py", "a") as file:
        file.write("\n\nBlur.deterministic = True\n")
    assert main(["run", "--defense", "blur.py:Blur", "--threat", "linf:8/255", "-n", "50", "--quiet", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert told.stdout.strip() == f"{percent(found['clean_accuracy'])} {percent(found['robust_accuracy'])}"


def test_the_attack_and_the_data_set_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text(block("more"))
    monkeypatch.chdir(tmp_path)
    for command in block("more commands").splitlines():
        assert main([*command.removeprefix("bench ").split()[:-1], "4", "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "tweedie under mine.py:fgsm · fashion-mnist linf:20/255 · n = 4" in text
    assert "none under pgd-full · squares linf:8/255 · n = 4" in text


def test_the_suite_is_the_matrix_that_it_says(tmp_path):
    file = tmp_path / "suite.toml"
    file.write_text(re.search(r"```toml\n(.*?)```", SCALE, re.DOTALL).group(1))
    cells = [
        (cell.text("defense"), cell.text("attack"), cell.seed, cell.samples)
        for cell in cells_of(read_suite(file), file)
    ]
    assert len(cells) == 12
    assert ("dpsam rho=0", "square queries=1000", 1, 100) in cells
    assert ("dpsam", "pgd-bpda", 1, 200) in cells


@pytest.mark.parametrize("mark", ["run", "test"])
def test_installing_and_running_is_one_line(mark):
    assert len(block(mark).strip().splitlines()) == 1
