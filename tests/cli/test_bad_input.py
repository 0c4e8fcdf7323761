"""Every kind of bad input ends in one sentence on stderr, the right exit code, and nothing on stdout."""

import errno
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import bench.models.weights
import bench.run.runner
from bench.cli.main import main

RUN = "run --quiet --results results --defense none --attack null -n 2 "
OWN = RUN + "--dataset npz:good.npz --threat linf:0.1 --classifier parts.py:right "

PARTS = """
import itertools, time
from pathlib import Path
from torch import nn

NUMBER = 1

class Logits(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.forward = function

def right(): return Logits(lambda x: x.flatten(1)[:, :3])
def wrong_shape(): return Logits(lambda x: x)
def wrong_classes(): return Logits(lambda x: x.flatten(1)[:, :2])
def nan_logits(): return Logits(lambda x: x.flatten(1)[:, :3] * float("nan"))
def picky(): return nn.Sequential(nn.Flatten(), nn.Linear(7, 3))
def no_module(): return "logits"
def no_file(): return open("absent.pt")

class NaN:
    deterministic = True
    def purify(self, x, noise): return x * float("nan")
class Crops(NaN):
    def purify(self, x, noise): return x[:, :, 1:]
class Brightens(NaN):
    def purify(self, x, noise): return x + 1
class Draws(NaN):
    def purify(self, x, noise): return noise.uniform(x)
class Widens(NaN):
    def purify(self, x, noise): return x.double()
class Writes(NaN):
    def purify(self, x, noise): return x.mul_(0.5)
class OwnNetwork(NaN):
    def __init__(self):
        self.network = nn.Conv2d(1, 1, 1).eval().requires_grad_(False)
        for part in self.network.parameters(): nn.init.constant_(part, 0.5)
    def purify(self, x, noise): return (0.1 * self.network(x) + x).clamp(0, 1)
class NoImages(NaN):
    def purify(self): return None
class Raises(NaN):
    def purify(self, x, noise): raise ValueError("two\\nlines")
class Drifts(NaN):
    count = itertools.count()
    def purify(self, x, noise): return x * 0.5 ** next(self.count)
class Refuses(NaN):
    def __init__(self, strength: int = 0): raise ValueError("strength is too small")
class Detaches(NaN):
    def purify(self, x, noise): return x.detach()
class Holds(NaN):
    def __init__(self, network: nn.Module | None = None): pass
class NoClaim:
    def purify(self, x, noise): return x

def far(model, x, y, threat, noise): return 1 - x
def crop(model, x, y, threat, noise): return x[:, :, 1:]
def nan(model, x, y, threat, noise): return x * float("nan")
def stop(model, x, y, threat, noise): raise KeyboardInterrupt
def sleep(model, x, y, threat, noise):
    Path("started").touch()
    time.sleep(60)
"""

LABELS = np.arange(6) % 3
IMAGES = np.zeros((6, 8, 8), dtype=np.float32)
IMAGES[np.arange(6), 0, LABELS] = 1  # so that the first three pixels are the right logits
ARCHIVES = {
    "good": {"images": IMAGES, "labels": LABELS},
    "unnamed": {"x": IMAGES, "y": LABELS},
    "flat": {"images": IMAGES.reshape(6, 64), "labels": LABELS},
    "nan": {"images": IMAGES * np.where(np.arange(6) == 3, np.nan, 1)[:, None, None], "labels": LABELS},
    "bright": {"images": IMAGES * 255, "labels": LABELS},
    "integers": {"images": (IMAGES * 255).astype(np.int32), "labels": LABELS},
    "negative": {"images": IMAGES, "labels": LABELS - 1},
    "huge": {"images": IMAGES, "labels": LABELS + 10**12},
    "fewer": {"images": IMAGES, "labels": LABELS[:5]},
    "fractions": {"images": IMAGES, "labels": LABELS / 2},
    "none": {"images": IMAGES[:0], "labels": LABELS[:0]},
}

INPUTS = [
    # names
    ("unknown defense", RUN + "--defense zzz", 2, "bench list defenses|[component-unknown]"),
    ("misspelt defense", RUN + "--defense dpsma", 2, "did you mean dpsam|[component-unknown]"),
    ("unknown attack", RUN + "--attack zzz", 2, "bench list attacks|[component-unknown]"),
    ("misspelt attack", RUN + "--attack pgdfull", 2, "did you mean pgd-full|[component-unknown]"),
    ("beginning of an attack", RUN + "--attack pgd", 2, "did you mean pgd-full|[component-unknown]"),
    ("unknown data set", RUN + "--dataset zzz", 2, "bench list datasets|[component-unknown]"),
    ("unknown classifier", RUN + "--classifier zzz", 2, "bench list classifiers|[component-unknown]"),
    ("unknown score model", RUN + "--score-model zzz", 2, "bench list score-models|[component-unknown]"),
    ("module that does not exist", RUN + "--defense absent_module:X", 2, "[component-import-failed]"),
    ("object missing in its file", RUN + "--defense parts.py:Absent", 2, "[component-object-unknown]"),
    ("file that does not exist", RUN + "--defense absent.py:X", 2, "[component-file-missing]"),
    ("file with a syntax error", RUN + "--defense broken.py:X", 2, "[component-import-failed]"),
    ("file without an object", RUN + "--defense parts.py:", 2, "[component-form]"),
    # threat
    ("malformed threat", RUN + "--threat 8/255", 2, "[threat-form]"),
    ("empty threat", RUN + "--threat ''", 2, "[threat-form]"),
    ("unknown norm", RUN + "--threat l7:0.1", 2, "[threat-norm]"),
    ("-S without a score model", RUN + "-S path=x", 2, "[score-arguments-unused]"),
    ("eps 0", RUN + "--threat linf:0", 2, "[threat-radius]"),
    ("negative eps", RUN + "--threat linf:-8/255", 2, "[threat-radius]"),
    ("eps above 1", RUN + "--threat linf:8", 2, "[threat-radius]"),
    ("eps with a zero denominator", RUN + "--threat linf:1/0", 2, "[threat-form]"),
    # numbers
    ("n = 0", RUN + "-n 0", 2, "[samples-range]"),
    ("n too large", RUN + "-n 10001", 2, "[samples-range]"),
    ("n no number", RUN + "-n many", 2, "[option-number]"),
    ("batch size 0", RUN + "--batch-size 0", 2, "[batch-size-range]"),
    ("batch size no number", RUN + "--batch-size big", 2, "[option-number]"),
    ("unknown device", RUN + "--device abacus", 2, "[device-unknown]"),
    ("draws of a deterministic defense", RUN + "--draws 3", 2, "[draws-range]"),
    ("draws 0", RUN + "--draws 0", 2, "[draws-range]"),
    ("negative seed", RUN + "--seed -1", 2, "[seed-range]"),
    ("seed no number", RUN + "--seed x", 2, "--seed|valid integer|see: bench run --help"),
    # arguments of components
    ("misspelt argument", RUN + "--defense dpsam -D stpes=4", 2, "did you mean steps|[argument-unknown]"),
    ("argument of one that has none", RUN + "-D steps=4", 2, "[argument-unknown]"),
    ("argument of the harness", RUN + "--defense tweedie -D score=x", 2, "[argument-unknown]"),
    ("argument of the wrong type", RUN + "--defense dpsam -D steps=four", 2, "[argument-value]"),
    ("argument that is not finite", RUN + "--defense dpsam -D sigma=nan", 2, "[argument-not-finite]"),
    ("argument without =", RUN + "--defense dpsam -D steps", 2, "[argument-form]"),
    ("argument twice", RUN + "--defense dpsam -D steps=1 -D steps=2", 2, "[argument-repeated]"),
    ("odd bank", RUN + "--defense dpsam -D bank=3", 2, "[dpsam-bank]"),
    ("sigma beyond the score model", RUN + "--defense tweedie -D sigma=5", 2, "[score-sigma-range]"),
    ("argument of the attack", RUN + "--attack pgd-full -A step=4", 2, "[argument-unknown]"),
    # the user's data
    ("missing npz", OWN + "--dataset npz:absent.npz", 2, "[npz-unreadable]"),
    ("npz that is text", OWN + "--dataset npz:parts.py", 2, "[npz-unreadable]"),
    ("npz that is empty", OWN + "--dataset npz:empty.npz", 2, "[npz-unreadable]"),
    ("npz that is an npy", OWN + "--dataset npz:one.npy", 2, "[npz-unreadable]"),
    ("npz without the arrays", OWN + "--dataset npz:unnamed.npz", 2, "[npz-arrays]"),
    ("images of the wrong shape", OWN + "--dataset npz:flat.npz", 2, "[npz-shape]"),
    ("NaN in images", OWN + "--dataset npz:nan.npz", 2, "[data-not-finite]"),
    ("pixels beyond [0, 1]", OWN + "--dataset npz:bright.npz", 2, "[data-range]"),
    ("images as int32", OWN + "--dataset npz:integers.npz", 2, "[data-dtype]"),
    ("negative label", OWN + "--dataset npz:negative.npz", 2, "[data-label-range]"),
    ("huge label", OWN + "--dataset npz:huge.npz", 2, "[npz-label-range]"),
    ("fewer labels than images", OWN + "--dataset npz:fewer.npz", 2, "[npz-labels]"),
    ("labels as fractions", OWN + "--dataset npz:fractions.npz", 2, "[npz-labels]"),
    ("no images", OWN + "--dataset npz:none.npz", 2, "[data-empty]"),
    ("no threat for an npz", RUN + "--dataset npz:good.npz --classifier parts.py:right", 2, "[threat-required]"),
    ("no classifier for an npz", RUN + "--dataset npz:good.npz --threat linf:0.1", 2, "bench list classifiers|[component-required]"),
    ("data set that is no function", OWN + "--dataset parts.py:NUMBER", 2, "[component-kind]"),
    ("data set of another kind", OWN + "--dataset parts.py:right", 2, "[dataset-type]"),
    ("data set that fails", OWN + "--dataset parts.py:no_file", 2, "absent.pt|[component-build-failed]"),
    ("folder without images", OWN + "--dataset folder:absent", 2, "[folder-empty]"),
    # the user's classifier
    ("logits of the wrong shape", OWN + "--classifier parts.py:wrong_shape", 2, "[logits-shape]"),
    ("logits of other classes", OWN + "--classifier parts.py:wrong_classes", 2, "[classifier-classes]"),
    ("NaN logits", OWN + "--classifier parts.py:nan_logits", 2, "samples [0, 1, 2, 3]|[logits-not-finite]"),
    ("classifier of other images", OWN + "--classifier parts.py:picky", 2, "[foreign-code-failed]"),
    ("factory of no classifier", OWN + "--classifier parts.py:no_module", 2, "[classifier-type]"),
    ("factory that fails", OWN + "--classifier parts.py:no_file", 2, "absent.pt|[component-build-failed]"),
    # the user's defense
    ("defense without its claim", OWN + "--defense parts.py:NoClaim", 2, "[defense-class]"),
    ("defense that cannot be made", OWN + "--defense parts.py:Refuses", 2, "ValueError: strength is too small|[component-build-failed]"),
    ("defense that returns NaN", OWN + "--defense parts.py:NaN", 2, "samples [0, 1, 2, 3]|[defense-not-finite]"),
    ("defense that changes the shape", OWN + "--defense parts.py:Crops", 2, "[defense-shape]"),
    ("defense that leaves [0, 1]", OWN + "--defense parts.py:Brightens", 2, "[defense-range]"),
    ("defense that draws against its claim", OWN + "--defense parts.py:Draws", 2, "[defense-draws]"),
    ("defense of another dtype", OWN + "--defense parts.py:Widens", 2, "[defense-dtype]"),
    ("defense that writes into its input", OWN + "--defense parts.py:Writes", 2, "[defense-writes-input]"),
    ("defense that takes no images", OWN + "--defense parts.py:NoImages --dataset npz:good.npz", 2, "[defense-signature]"),
    ("defense that raises", OWN + "--defense parts.py:Raises", 2, "ValueError: two lines|[foreign-code-failed]"),
    ("defense that is not reproducible", OWN + "--defense parts.py:Drifts", 2, "[defense-not-repeatable]"),
    ("defense that loses the gradient", OWN + "--defense parts.py:Detaches", 2, "[defense-no-gradient]"),
    ("argument that is no text", OWN + "--defense parts.py:Holds -D network=x", 2, "[argument-not-text]"),
    ("object without a signature", OWN + "--defense builtins:dict", 2, "[component-signature]"),
    ("attack that is none", OWN + "--attack parts.py:right", 2, "[attack-signature]"),
    # the user's attack: no wrong input, but a broken contract
    ("attack that leaves the ball", OWN + "--attack parts.py:far", 4, "samples [0, 1]|[attack-left-ball]"),
    ("attack that returns NaN", OWN + "--attack parts.py:nan", 4, "samples [0, 1]|[attack-left-ball]"),
    ("attack that changes the shape", OWN + "--attack parts.py:crop", 4, "[attack-output]"),
    ("Ctrl-C", OWN + "--attack parts.py:stop", 3, "stopped; finished work is kept; resume with: bench run --quiet --results results"),
    # the command line itself
    ("unknown option", RUN + "--frobnicate 1", 2, "No such option: --frobnicate|see: bench run --help"),
    ("radius without a norm", RUN + "--eps 8/255", 2, "No such option: --eps; the threat model has norm and radius: write --threat linf:8/255 (see: bench run --help)"),
    ("argument of a defense as an option", RUN + "--defense tweedie --sigma 0.2", 2, "No such option: --sigma; it is an argument of the defense tweedie: write -D sigma=0.2 (see"),
    ("argument of the default attack as an option", "run --step-size=2/255", 2, "No such option: --step-size; it is an argument of the defense dpsam: write -D step_size=2/255, or of the attack pgd-full: write -A step_size=2/255 (see"),
    ("argument of one's own defense as an option", OWN + "--defense=parts.py:Holds --network", 2, "No such option: --network; it is an argument of the defense parts.py:Holds: write -D network=VALUE (see"),
    ("unknown option beside an unknown defense", RUN + "--frobnicate 1 --defense zzz", 2, "No such option: --frobnicate|see: bench run --help"),
    ("option without its value", RUN + "--seed", 2, "--seed|requires an argument|see: bench run --help"),
    ("unknown command", "frobnicate", 2, "No such command 'frobnicate'|see: bench --help"),
    ("unknown root option", "--frobnicate", 2, "No such option: --frobnicate|see: bench --help"),
    ("unknown thing to train", "train frobnicate", 2, "No such command 'frobnicate'|see: bench train --help"),
    ("unknown kind to list", "list zzz", 2, "[list-kind-unknown]"),
    ("unknown name to list", "list defenses dpsma", 2, "did you mean dpsam|[component-unknown]"),
    ("unknown check to list", "list checks leek", 2, "did you mean leak|bench list checks|[check-unknown]"),
    ("unknown run", "show 123abc --results results", 2, "[record-results-empty]"),
    ("report of an unknown run", "report 123abc --results results", 2, "[record-results-empty]"),
    ("no run named", "show --results results", 2, "Missing argument|see: bench show --help"),
    ("leaderboard of an empty folder", "leaderboard --results results", 2, "[board-empty]"),
    ("unknown format", "leaderboard --format xml", 2, "[leaderboard-format]"),
    ("too few images to train on", "train classifier --quiet --dataset npz:good.npz --epochs 1", 2, "[train-too-few-images]"),
    ("no epochs", "train classifier --quiet --dataset npz:good.npz --epochs 0", 2, "[train-epochs]"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder, with the files that the table names."""
    monkeypatch.chdir(tmp_path)
    Path("parts.py").write_text(PARTS)
    Path("broken.py").write_text("def X(:\n")
    Path("empty.npz").touch()
    for name, arrays in ARCHIVES.items():
        np.savez(f"{name}.npz", **arrays)
    np.save("one.npy", IMAGES)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "parts"), [pytest.param(*row[1:3], row[3].split("|"), id=row[0]) for row in INPUTS]
)
def test_one_sentence_and_the_exit_code(words, code, parts, capsys):
    assert main(shlex.split(words)) == code
    said(capsys, *parts)


def said(capsys, *parts):
    """Asserts that stderr is one sentence with these parts, in this order, and stdout is empty."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bench: ")
    assert err.splitlines(keepends=True) == [err]
    assert "Traceback" not in err
    place = 0
    for part in parts:
        assert part in err[place:], (part, err)
        place = err.index(part, place)


def run(*more):
    return main([*shlex.split(OWN), *more])


def record():
    (path,) = Path("results").glob("*/*/*")
    return path


def lines(path):
    """The lines of a record without their times and memory."""
    return [
        {**json.loads(line), "seconds": 0, "memory": 0} for line in (path / "samples.jsonl").read_bytes().splitlines()
    ]


def test_the_files_of_the_table_are_good_where_they_should_be(capsys):
    assert run() == 0
    assert [line["id"] for line in lines(record())] == [0, 1]


def test_a_defense_with_a_network_of_its_own_runs_though_that_cannot_be_looked_at_in_double_precision(capsys):
    assert run("--defense", "parts.py:OwnNetwork") == 0
    header = json.loads((record() / "run.json").read_text())
    assert header["checks"]["gradient_error"] < 1e-3  # in float32
    assert header["checks"]["gradient_nonzero"] == 1


def test_a_traceback_is_shown_on_request_only(capsys):
    assert main(["--debug", *shlex.split(RUN), "--defense", "zzz"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_damaged_and_missing_weights(capsys):
    for suffix in (".safetensors", ".json"):
        shutil.copy((bench.models.weights.EMBEDDED / "fashion-mnist-classifier").with_suffix(suffix), f"copy{suffix}")
    content = bytearray(Path("copy.safetensors").read_bytes())
    content[-1] ^= 1
    Path("copy.safetensors").write_bytes(content)
    assert main([*shlex.split(RUN), "--classifier", "weights:copy.safetensors"]) == 2
    said(capsys, "[weights-changed]")
    Path("copy.safetensors").unlink()
    assert main([*shlex.split(RUN), "--classifier", "weights:copy.safetensors"]) == 2
    said(capsys, "[weights-unreadable]")
    Path("copy.json").write_text("{}")
    assert main([*shlex.split(RUN), "--classifier", "weights:copy.safetensors"]) == 2
    said(capsys, "[weights-card-damaged]")


def test_a_file_stands_where_the_results_go(capsys):
    Path("results").touch()
    assert run() == 2
    said(capsys, "[record-unwritable]")


def test_a_torn_last_line_is_made_again(capsys):
    assert run() == 0
    before, file = lines(record()), record() / "samples.jsonl"
    file.write_bytes(file.read_bytes()[:-9])
    assert run() == 0
    assert lines(record()) == before
    with open(file, "ab") as torn:
        torn.write(b'{"id": 7, "la')
    assert run() == 0
    assert lines(record()) == before


@pytest.mark.parametrize(
    ("number", "text", "parts"),
    [
        (1, b"{", "line 1|[record-line-damaged]"),
        (2, b"null", "line 2|[record-line-damaged]"),
        (2, None, "line 2|[record-id-repeated]"),
    ],
)
def test_a_damaged_line(number, text, parts, capsys):
    assert run() == 0
    capsys.readouterr()
    file = record() / "samples.jsonl"
    rows = file.read_bytes().splitlines()
    rows[number - 1] = text or rows[0]
    file.write_bytes(b"\n".join(rows) + b"\n")
    for command in (OWN, f"show {record()}"):
        assert main(shlex.split(command)) == 2
        said(capsys, *parts.split("|"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text.replace('"format": 1', '"format": 99'), "record-format"),
        (lambda text: text[:40], "document-damaged"),
        (lambda text: "[]", "record-format"),
        (lambda text: '{"format": 1}', "record-keys-missing"),
    ],
    ids=["another format", "no JSON", "a list", "keys missing"],
)  # fmt: skip
def test_a_damaged_header(change, code, capsys):
    assert run() == 0
    capsys.readouterr()
    file = record() / "run.json"
    file.write_text(change(file.read_text()))
    for command in (OWN, f"show {record()}", "leaderboard --results results"):
        assert main(shlex.split(command)) == 2
        said(capsys, f"[{code}]")


@pytest.mark.parametrize("key", ["torch", "device", "purebench"])
def test_another_environment_is_refused_until_it_is_allowed(key, capsys):
    assert run() == 0
    capsys.readouterr()
    file, samples = record() / "run.json", record() / "samples.jsonl"
    header = json.loads(file.read_text())
    ((name, environment),) = header["environments"].items()
    file.write_text(json.dumps({**header, "environments": {"earlier": {**environment, key: "other"}}}))
    samples.write_text(samples.read_text().replace(name, "earlier"))
    assert run("-n", "3") == 2
    said(capsys, f"with {key} other", "[record-environment]")
    assert run("-n", "3", "--mix-environments") == 0
    assert list(json.loads(file.read_text())["environments"]) == ["earlier", name]
    assert [line["environment"] for line in lines(record())] == ["earlier", "earlier", name]


def test_a_record_that_another_process_writes(capsys):
    assert run() == 0
    capsys.readouterr()
    with open(record() / "samples.jsonl", "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert run("-n", "3") == 2
        said(capsys, "[record-busy]")


def test_a_full_disk_keeps_what_is_finished(capsys, monkeypatch):
    assert run() == 0
    before = (record() / "samples.jsonl").read_bytes()
    samples, fsync = record() / "samples.jsonl", os.fsync

    def full(file):
        if samples.read_bytes() != before:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert run("-n", "4") == 3
    said(capsys, "resume with: bench run", "[disk-full]")
    assert samples.read_bytes() == before
    assert run("-n", "4") == 0
    assert samples.read_bytes().startswith(before)
    assert [line["id"] for line in lines(record())] == [0, 1, 2, 3]


def test_a_termination_signal_stops_like_ctrl_c(folder):
    command = [sys.executable, "-m", "bench", *shlex.split(OWN), "--attack", "parts.py:sleep"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not Path("started").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (3, "")
    assert err.splitlines() == [f"bench: stopped; finished work is kept; resume with: bench {shlex.join(command[3:])}"]


def test_a_prefix_that_fits_two_runs(capsys):
    assert run() == 0
    for name in ("aa1", "aa2"):
        shutil.copytree(record(), Path("other/data/threat") / name)
    capsys.readouterr()
    assert main(["show", "aa", "--results", "other"]) == 2
    said(capsys, "aa1, aa2", "[record-ambiguous]")
    assert main(["show", "aa1", "--results", "other"]) == 0


def test_a_run_without_finished_images(capsys):
    assert run("--attack", "parts.py:stop") == 3
    capsys.readouterr()
    assert main(["show", str(record())]) == 2
    said(capsys, "[record-empty]")


def test_a_leaderboard_that_cannot_be_written_or_compared(capsys):
    assert run() == 0
    capsys.readouterr()
    assert main(["leaderboard", "--results", "results", "--out", "absent/board.md"]) == 2
    said(capsys, "[output-unwritable]")
    assert main(["leaderboard", "--results", "results", "--against", "zzz"]) == 2
    said(capsys, "[board-defense-unknown]")


def test_an_unexpected_error_is_one_sentence(capsys, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(bench.run.runner, "run", fail)
    assert run() == 4
    said(capsys, "unexpected ZeroDivisionError: division by zero; run again with --debug and report it")
