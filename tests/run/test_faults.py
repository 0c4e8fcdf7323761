"""What goes wrong on shared machines: kills, full and read-only disks, clocks, memory, NaN. What is finished stays, and is right."""

from __future__ import annotations

import errno
import json
import os
import shlex
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import bench
from bench.cli.main import main
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.runner import Options, Silent, run
from bench.threat import ThreatModel

PARTS = """
import itertools
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench.data.dataset import Dataset

class Linear(nn.Module):
    def __init__(self, most, pause):
        super().__init__()
        self.most, self.pause = most, pause

    def forward(self, x):
        time.sleep(self.pause)
        logits = x.flatten(1)[:, :3] * 3
        return torch.where(x.flatten(1)[:, 60:61] > self.most, torch.nan, logits)

def classifier(most: float = 2.0, pause: float = 0.0):
    return Linear(most, pause)

class Score:
    calls = itertools.count(1)

    def denoise(self, y, sigma):
        call = next(self.calls)
        if Path("full").exists() and call in map(int, Path("full").read_text().split()):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return y * 0.9 + 0.01

def score():
    return Score()

def large():
    images = np.memmap("large", dtype=np.uint8, mode="w+", shape=(4000, 3, 224, 224))
    labels = np.arange(4000) % 3
    return Dataset(name="large", ids=np.arange(4000), images=images, labels=labels, classes=("a", "b", "c"))
"""
OWN = "--dataset npz:data.npz --threat linf:0.1 --classifier parts.py:classifier --device cpu --results results --quiet"


@pytest.fixture(scope="module")
def kills(faults):
    return faults("kills")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with parts, and 60 images of which the one with id 37 makes the classifier say NaN."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("parts.py").write_text(PARTS)
    labels = np.arange(60) % 3
    images = np.full((60, 8, 8), 0.2, dtype=np.float32)
    images[np.arange(60), 0, labels] = 0.7
    np.savez("data.npz", images=images, labels=labels)
    images[37, 7, 4] = 1.0
    np.savez("nan.npz", images=images, labels=labels)
    return tmp_path


def command(words, code=0):
    assert main(shlex.split(words)) == code


def lines():
    (file,) = Path("results").rglob("samples.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


# --- kills


SLOW = "--dataset npz:data.npz --threat linf:0.1 --classifier parts.py:classifier -C pause=0.01 --device cpu"
"""Parts that cost nothing but waiting: a kill falls into an attack, not into an import."""
SLOW_SUITE = """
samples = 60
defense = ["none", "denoise-once"]
attack = ["null", { name = "pgd-full", steps = 20, eot = 2, losses = ["cw"] }]
dataset = "npz:data.npz"
threat = "linf:0.1"
classifier = { name = "parts.py:classifier", pause = 0.01 }
score_model = "parts.py:score"
"""


def test_two_kills_of_a_run_leave_the_record_of_an_undisturbed_one(kills, tmp_path):
    words = f"run {SLOW} --defense denoise-once --score-model parts.py:score --draws 2 -A steps=30 -A eot=2 -n 60"
    report = kills.survive(shlex.split(words), tmp_path, kills=2, key=4, least=0.6)
    assert report.kills == 2


def test_two_kills_of_a_suite_leave_the_records_of_an_undisturbed_one(kills, tmp_path):
    Path("suite.toml").write_text(SLOW_SUITE)
    report = kills.survive(["suite", "suite.toml", "--allow-code"], tmp_path, kills=2, key=4, least=0.6)
    assert report.kills == 2


def test_a_kill_of_a_driver_leaves_no_worker(kills):
    """And a record that one process completes, equal to that of an undisturbed run."""
    words = f"run {SLOW} --defense none -A steps=60 -n 60 --quiet"
    driver = kills.start([*shlex.split(words), *kills.PROCESSES.split()], Path("killed").resolve())
    while not (begun := list(Path("killed").rglob("run.json"))):
        time.sleep(0.05)
    assert len(kills.children(driver.pid)) >= 2
    driver.kill()
    driver.communicate()
    kills.vanish(driver.pid, kills.GRACE)
    assert not begun[0].with_name("SHA256SUMS").exists()
    for folder in ("killed", "calm"):
        command(f"{words} --results {folder}")
    found, wanted = (
        {name: file for name, file in kills.records(Path(folder)).items() if not name.endswith(("run.json", "SUMS"))}
        for folder in ("killed", "calm")
    )
    assert found == wanted


def test_the_harness_notices_a_difference(kills, tmp_path, monkeypatch):
    seen = iter([{"a": b"1"}, {"a": b"2"}])
    monkeypatch.setattr(kills, "finish", lambda *_: None)
    monkeypatch.setattr(kills, "disturb", lambda *_: 9)
    monkeypatch.setattr(kills, "records", lambda _: next(seen))
    with pytest.raises(AssertionError, match="round 1: the records differ"):
        kills.survive([], tmp_path, kills=1, key=0)


@pytest.mark.slow
def test_kills_on_ray(kills, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'purebench[ray]'")
    Path("suite.toml").write_text(kills.SUITE)
    words = ["suite", str(tmp_path / "suite.toml"), *kills.RAY.split()]
    assert (
        kills.survive(words, tmp_path, kills=4, key=4, ways=["KILL", "TERM"], least=0.6, linger=kills.RAY_LINGERS).kills
        == 4
    )


def test_an_interruption_inside_generated_code_has_exit_code_3():
    Path("attack.py").write_text("def attack(model, x, y, threat, noise):\n    exec('raise KeyboardInterrupt')\n")
    words = f"run {OWN} --defense none --attack attack.py:attack -n 2"
    done = subprocess.run(
        [sys.executable, "-m", "bench", *shlex.split(words)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        3,
        f"bench: stopped; finished work is kept; resume with: bench {words}\n",
    )


# --- disks


SUITE = 'samples = 60\ndefense = "none"\nattack = ["null", "random"]\ndataset = "npz:data.npz"\nthreat = "linf:0.1"\nclassifier = "parts.py:classifier"\n'


def test_a_full_disk_interrupts_a_suite_which_goes_on_later(capsys, monkeypatch):
    Path("suite.toml").write_text(SUITE)
    fsync, calls = os.fsync, []

    def full(file):
        calls.append(file)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        command("suite suite.toml --allow-code --quiet --keep-going", 3)
    err = capsys.readouterr().err
    assert "[disk-full]" in err
    assert "resume with: bench suite suite.toml --allow-code --quiet --keep-going" in err
    assert not list(Path("results").rglob("*.tmp"))
    command("suite suite.toml --allow-code --quiet --json")
    assert [row["n"] for row in json.loads(capsys.readouterr().out)] == [60, 60]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_is_read_only(number, capsys, monkeypatch):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(bench.files.lock.os, "open", refuse)
    command(f"run {OWN} --defense none --attack null -n 2", 2)
    assert "[record-unwritable]" in capsys.readouterr().err


def test_a_complete_record_is_only_read(capsys, monkeypatch):
    """Its folder may be read-only, or another process may be adding to it; not a byte and no time of it changes."""
    words = f"run {OWN} --defense none --attack null --json"
    command(f"{words} -n 4")
    first = json.loads(capsys.readouterr().out)
    (path,) = Path("results").glob("*/*/*")
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(bench.files.lock.os, "open", refuse)
        for n in (4, 2):
            command(f"{words} -n {n}")
            assert json.loads(capsys.readouterr().out)["n"] == n
        command(f"{words} -n 5", 2)
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before
    capsys.readouterr()
    command(f"{words} -n 4")
    assert json.loads(capsys.readouterr().out) == first


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser writes everywhere")
def test_a_folder_whose_mode_is_read_only(capsys):
    Path("results").mkdir(mode=0o555)
    command(f"run {OWN} --defense none --attack null -n 2", 2)
    assert "[record-unwritable]" in capsys.readouterr().err


# --- clocks


def test_a_clock_that_jumps_changes_nothing(capsys, monkeypatch):
    command(f"run {OWN} --defense none --attack random -n 60")
    before = {line["id"]: {**line, "seconds": 0, "memory": 0} for line in lines()}
    jumps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 * (-1) ** next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 * (-1) ** next(jumps))
    command(f"run {OWN} --defense none --attack random -n 60 --results other")
    file = next(Path("other").rglob("samples.jsonl"))
    after = [json.loads(line) for line in file.read_text().splitlines()]
    assert {line["id"]: {**line, "seconds": 0, "memory": 0} for line in after} == before
    assert all(0 <= line["seconds"] < 60 for line in after)


def test_nothing_asks_for_the_time_of_day():
    for file in Path(bench.__file__).parent.rglob("*.py"):
        for word in ("time.time(", "datetime.now", "time_ns("):
            assert word not in file.read_text(), file


# --- memory


RUN = f"run {OWN} --defense denoise-once --score-model parts.py:score -A steps=3 -A eot=2 --draws 2 -n 60"


@pytest.mark.parametrize("seed", range(3))
def test_out_of_memory_at_any_call_changes_no_result(seed, capsys):
    command(RUN)
    calm = lines()
    calls = np.random.Generator(np.random.Philox(key=seed)).integers(20, 60, size=2)
    Path("full").write_text(" ".join(map(str, calls)))
    reset_calls()
    command(f"{RUN} --results halved")
    file = next(Path("halved").rglob("samples.jsonl"))
    after = [json.loads(line) for line in file.read_text().splitlines()]
    for before, now in zip(calm, after, strict=True):
        for key in ("id", "label", "clean", "adversarial"):
            assert now[key] == before[key]
        assert now["margin"] == pytest.approx(before["margin"], abs=1e-5)
    header = json.loads((file.parent / "run.json").read_text())
    sizes = [environment["batch_size"] for environment in header["environments"].values()]
    assert sizes[-1] < 16


def reset_calls():
    """Counts the score model's calls from one again: the file is imported once a process."""
    import itertools
    import sys

    module = next(module for name, module in sys.modules.items() if name.startswith("purebench_file_") and module.__file__ == str(Path("parts.py").resolve()))  # fmt: skip
    module.Score.calls = itertools.count(1)


def test_a_batch_size_that_does_not_fit_is_said(capsys):
    Path("full").write_text("1 2 3 4 5 6 7 8 9")
    command(f"{RUN} --batch-size 8", 2)
    assert "[out-of-memory]" in capsys.readouterr().err


def test_the_peak_memory_is_in_the_record(capsys):
    command(f"run {OWN} --defense none --attack null -n 2 --json")
    summary = json.loads(capsys.readouterr().out)
    assert summary["peak_memory"] == max(line["memory"] for line in lines())
    assert 20 < summary["peak_memory"] < 10_000


def test_images_on_disk_never_come_into_memory_together(tmp_path):
    request = Request(
        defense="none", attack="null", dataset="parts.py:large", classifier="parts.py:classifier", threat=ThreatModel.parse("linf:4/255")
    )  # fmt: skip
    tracemalloc.start()
    planned = plan(request, make_registry())
    assert planned.dataset.images.nbytes > 500 << 20
    run(planned, Options(samples=150, results=tmp_path / "r", device="cpu"), Silent())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 250 << 20


# --- NaN


def test_nan_at_image_37_names_it_and_keeps_the_shards_before(capsys):
    nan = OWN.replace("data.npz", "nan.npz") + " -C most=0.9"
    command(f"run {nan} --defense none --attack null -n 30")
    first = lines()
    command(f"run {nan} --defense none --attack null -n 60", 2)
    err = capsys.readouterr().err
    assert "on samples [37];" in err
    assert "[logits-not-finite]" in err
    assert lines() == first
    Path("suite.toml").write_text(
        SUITE.replace('"npz:data.npz"', '["npz:nan.npz", "npz:data.npz"]') + "[classifier_args]\nmost = 0.9\n"
    )
    command("suite suite.toml --allow-code --quiet --keep-going --json", 2)
    assert [row["state"] for row in json.loads(capsys.readouterr().out)] == ["failed", "failed", "made", "made"]
