"""A file that changes the working directory, on import or later, changes nothing for the paths that were typed."""

import os
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import main
from bench.foreign import kept_folder
from bench.records.record import read_record

PARTS = """
import os
from pathlib import Path
from torch import nn

AWAY = Path("away").resolve()
class Keeps:
    deterministic = True
    def purify(self, x, noise): return x
class InPurify(Keeps):
    def purify(self, x, noise):
        os.chdir(AWAY)
        return x
class InConstructor(Keeps):
    def __init__(self): os.chdir(AWAY)
def attack(model, x, y, threat, noise):
    os.chdir(AWAY)
    return x
def logits():
    os.chdir(AWAY)
    return nn.Flatten()
"""
ON_IMPORT = """
import os
from pathlib import Path
os.chdir("away")
import parts
class Keeps(parts.Keeps): pass
def logits():
    Path("weights.txt").read_text()  # beside the folder it changed to
    return parts.nn.Flatten()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, forget_files):
    monkeypatch.chdir(tmp_path)
    forget_files()
    Path("away").mkdir()
    Path("away/weights.txt").touch()
    Path("parts.py").write_text(PARTS)
    Path("on_import.py").write_text(ON_IMPORT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "parts", raising=False)
    images = np.arange(6 * 3, dtype=np.uint8).reshape(6, 1, 1, 3)
    np.savez("own.npz", images=images, labels=np.arange(6) % 3)


@pytest.mark.parametrize(
    "words",
    [
        "--defense on_import.py:Keeps",
        "--classifier on_import.py:logits",
        "--defense on_import.py:Keeps --classifier on_import.py:logits",
        "--defense parts.py:InPurify",
        "--defense parts.py:InConstructor",
        "--attack parts.py:attack",
        "--classifier parts.py:logits",
    ],
)
def test_paths_mean_what_they_meant(words, capsys, tmp_path):
    options = "run --quiet --dataset npz:own.npz --threat linf:8/255 --classifier parts.py:logits --defense none --attack null -n 6"
    assert main(shlex.split(f"{options} {words}")) == 0
    assert Path.cwd() == tmp_path
    (path,) = Path("results").glob("*/*/*")
    assert len(read_record(path).lines) == 6
    assert f"record  {path}" in capsys.readouterr().out
    assert sorted(os.listdir("away")) == ["weights.txt"]


def test_the_folder_is_kept_after_an_error_and_where_it_was_removed(tmp_path):
    with pytest.raises(FileNotFoundError), kept_folder():
        os.chdir(os.chdir("away") or "absent")
    assert Path.cwd() == tmp_path
    os.chdir("away")
    Path("weights.txt").unlink()
    (tmp_path / "away").rmdir()
    with kept_folder():
        os.chdir(tmp_path)
    assert Path.cwd() == tmp_path
