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
    ("unknown defense", RUN + "--defense zzz", 2, "expected a defense, got 'zzz'; the names are|dpsam|bench list defenses"),
    ("misspelt defense", RUN + "--defense dpsma", 2, "expected a defense, got 'dpsma'; did you mean dpsam"),
    ("unknown attack", RUN + "--attack zzz", 2, "expected an attack, got 'zzz'|bench list attacks"),
    ("misspelt attack", RUN + "--attack pgdfull", 2, "'pgdfull'; did you mean pgd-full"),
    ("beginning of an attack", RUN + "--attack pgd", 2, "expected an attack, got 'pgd'; did you mean pgd-full or pgd-bpda or pgd-blind?"),
    ("unknown data set", RUN + "--dataset zzz", 2, "expected a data set, got 'zzz'|bench list datasets"),
    ("unknown classifier", RUN + "--classifier zzz", 2, "expected a classifier, got 'zzz'|bench list classifiers"),
    ("unknown score model", RUN + "--score-model zzz", 2, "expected a score model, got 'zzz'|bench list score-models"),
    ("module that does not exist", RUN + "--defense absent_module:X", 2, "to import the defense|No module named|check absent_module:X"),
    ("object missing in its file", RUN + "--defense parts.py:Absent", 2, "the defense 'parts.py:Absent'|no 'Absent' in its file or module|it has |correct the name"),
    ("file that does not exist", RUN + "--defense absent.py:X", 2, "expected the file of the defense|got no file absent.py|check the path"),
    ("file with a syntax error", RUN + "--defense broken.py:X", 2, "to import the defense|SyntaxError|check broken.py:X"),
    ("file without an object", RUN + "--defense parts.py:", 2, "expected a defense as module:object|name both parts"),
    # threat
    ("malformed threat", RUN + "--threat 8/255", 2, "expected a threat like linf:8/255 or l2:0.5, got '8/255'|give a norm"),
    ("empty threat", RUN + "--threat ''", 2, "expected a threat like linf:8/255 or l2:0.5, got ''"),
    ("unknown norm", RUN + "--threat l7:0.1", 2, "expected a threat norm among linf, l2, l1, got 'l7'; write"),
    ("-S without a score model", RUN + "-S path=x", 2, "expected no -S for none|drop them"),
    ("eps 0", RUN + "--threat linf:0", 2, "expected eps in [1e-6, 1]|got 0;"),
    ("negative eps", RUN + "--threat linf:-8/255", 2, "expected eps in [1e-6, 1]|got -8/255;"),
    ("eps above 1", RUN + "--threat linf:8", 2, "expected eps in [1e-6, 1]|got 8|write 8/255 and not 8"),
    ("eps with a zero denominator", RUN + "--threat linf:1/0", 2, "expected a threat like"),
    # numbers
    ("n = 0", RUN + "-n 0", 2, "expected --samples in 1..10000 or all, got 0"),
    ("n too large", RUN + "-n 10001", 2, "expected --samples in 1..10000 or all, got 10001"),
    ("n no number", RUN + "-n many", 2, "expected --samples as a whole number or all, got 'many'; correct it"),
    ("batch size 0", RUN + "--batch-size 0", 2, "expected --batch-size of at least 1, got 0; leave it out"),
    ("batch size no number", RUN + "--batch-size big", 2, "expected --batch-size as a whole number or auto, got 'big'"),
    ("unknown device", RUN + "--device abacus", 2, "expected --device auto, cpu, cuda|got 'abacus'; see: bench doctor"),
    ("draws of a deterministic defense", RUN + "--draws 3", 2, "expected --draws|1 for a deterministic defense, got 3|leave it out"),
    ("draws 0", RUN + "--draws 0", 2, "expected --draws of at least 1|got 0"),
    ("negative seed", RUN + "--seed -1", 2, "expected --seed in [0, 2^64), got -1; choose"),
    ("seed no number", RUN + "--seed x", 2, "--seed|valid integer|see: bench run --help"),
    # arguments of components
    ("misspelt argument", RUN + "--defense dpsam -D stpes=4", 2, "expected an argument of dpsam, got 'stpes' (did you mean steps?); it takes"),
    ("argument of one that has none", RUN + "-D steps=4", 2, "expected an argument of none, got 'steps'; it takes no arguments"),
    ("argument of the harness", RUN + "--defense tweedie -D score=x", 2, "expected an argument of tweedie, got 'score'"),
    ("argument of the wrong type", RUN + "--defense dpsam -D steps=four", 2, "expected dpsam -D steps=int, got 'four'|correct the value"),
    ("argument that is not finite", RUN + "--defense dpsam -D sigma=nan", 2, "sigma=a finite number, got 'nan'"),
    ("argument without =", RUN + "--defense dpsam -D steps", 2, "expected -D key=value, got 'steps'; write for example -D steps=4"),
    ("argument twice", RUN + "--defense dpsam -D steps=1 -D steps=2", 2, "expected each argument once, got -D steps= twice; drop one"),
    ("odd bank", RUN + "--defense dpsam -D bank=3", 2, "expected bank to be an even number, got 3"),
    ("sigma beyond the score model", RUN + "--defense tweedie -D sigma=5", 2, "expects sigma in [|got 5; choose another sigma"),
    ("argument of the attack", RUN + "--attack pgd-full -A step=4", 2, "expected an argument of pgd-full, got 'step' (did you mean"),
    # the user's data
    ("missing npz", OWN + "--dataset npz:absent.npz", 2, "expected an .npz file at absent.npz|No such file|check the path"),
    ("npz that is text", OWN + "--dataset npz:parts.py", 2, "expected an .npz file at parts.py, got"),
    ("npz that is empty", OWN + "--dataset npz:empty.npz", 2, "expected an .npz file at empty.npz, got"),
    ("npz that is an npy", OWN + "--dataset npz:one.npy", 2, "expected an .npz file at one.npy, got"),
    ("npz without the arrays", OWN + "--dataset npz:unnamed.npz", 2, "expected arrays named images and labels in unnamed.npz|save them"),
    ("images of the wrong shape", OWN + "--dataset npz:flat.npz", 2, "expected images of shape (N, H, W)|got (6, 64); reshape"),
    ("NaN in images", OWN + "--dataset npz:nan.npz", 2, "expected finite pixels, got NaN or infinity in image|drop it"),
    ("pixels beyond [0, 1]", OWN + "--dataset npz:bright.npz", 2, "expected float pixels in [0, 1], got [0, 255]; divide by 255"),
    ("images as int32", OWN + "--dataset npz:integers.npz", 2, "expected images as uint8 or floats, got int32; convert"),
    ("negative label", OWN + "--dataset npz:negative.npz", 2, "expected labels in 0..|got -1..|renumber them from 0"),
    ("huge label", OWN + "--dataset npz:huge.npz", 2, "expected labels in 0..|renumber them from 0"),
    ("fewer labels than images", OWN + "--dataset npz:fewer.npz", 2, "expected 6 integer labels, got|(5,); give one per image"),
    ("labels as fractions", OWN + "--dataset npz:fractions.npz", 2, "expected 6 integer labels, got float64"),
    ("no images", OWN + "--dataset npz:none.npz", 2, "expected at least one image, got none; check the path"),
    ("no threat for an npz", RUN + "--dataset npz:good.npz --classifier parts.py:right", 2, "expected --threat for the data set npz:good.npz, got none; write for example"),
    ("no classifier for an npz", RUN + "--dataset npz:good.npz --threat linf:0.1", 2, "expected --classifier for the data set npz:good.npz, got none|bench list classifiers"),
    ("data set that is no function", OWN + "--dataset parts.py:NUMBER", 2, "expected parts.py:NUMBER to be a class or a function, got int; name another"),
    ("data set of another kind", OWN + "--dataset parts.py:right", 2, "expected parts.py:right to return a bench.data.dataset.Dataset, got Logits; correct"),
    ("data set that fails", OWN + "--dataset parts.py:no_file", 2, "parts.py:no_file|got FileNotFoundError|absent.pt|correct"),
    ("folder without images", OWN + "--dataset folder:absent", 2, "expected absent to hold one folder of images per class, got no images; check"),
    # the user's classifier
    ("logits of the wrong shape", OWN + "--classifier parts.py:wrong_shape", 2, "expected the classifier to return logits of shape (|got (|check --classifier"),
    ("logits of other classes", OWN + "--classifier parts.py:wrong_classes", 2, "expected logits for the 3 classes of npz-good, got 2; choose another --classifier"),
    ("NaN logits", OWN + "--classifier parts.py:nan_logits", 2, "expected finite logits, got NaN or infinity on samples [0, 1, 2, 3]; check the classifier"),
    ("classifier of other images", OWN + "--classifier parts.py:picky", 2, "expected the classifier to take images of shape (1, 8, 8)|RuntimeError|choose another --classifier"),
    ("factory of no classifier", OWN + "--classifier parts.py:no_module", 2, "to return a torch.nn.Module, got str; correct the factory"),
    ("factory that fails", OWN + "--classifier parts.py:no_file", 2, "parts.py:no_file|got FileNotFoundError|absent.pt|correct"),
    # the user's defense
    ("defense without its claim", OWN + "--defense parts.py:NoClaim", 2, "a class with purify(x, noise) and `deterministic: ClassVar[bool]`, got|add what is missing"),
    ("defense that cannot be made", OWN + "--defense parts.py:Refuses", 2, "parts.py:Refuses|ValueError: strength is too small|correct"),
    ("defense that returns NaN", OWN + "--defense parts.py:NaN", 2, "expected NaN.purify to return finite pixels, got NaN or infinity on samples [0, 1, 2, 3]; lower"),
    ("defense that changes the shape", OWN + "--defense parts.py:Crops", 2, "expected Crops.purify to return images of shape (|got (|keep the shape"),
    ("defense that leaves [0, 1]", OWN + "--defense parts.py:Brightens", 2, "to return pixels in [0, 1], got [1,|clamp them"),
    ("defense that draws against its claim", OWN + "--defense parts.py:Draws", 2, "expected Draws.purify not to draw, as `deterministic = True` says, got: it drew from its noise; set `deterministic = False`, or do not draw\n"),
    ("defense of another dtype", OWN + "--defense parts.py:Widens", 2, "expected Widens.purify to return images of torch.float32, got torch.float64; keep the dtype, as .to(x.dtype) does\n"),
    ("defense that writes into its input", OWN + "--defense parts.py:Writes", 2, "expected Writes.purify to leave x as it is, got it written into; do not write into x: x = x * 0.5, not x *= 0.5\n"),
    ("defense that takes no images", OWN + "--defense parts.py:NoImages --dataset npz:good.npz", 2, "expected NoImages.purify to take (x, noise), got purify(); write def purify(self, x, noise), or purify(self, x)\n"),
    ("defense that raises", OWN + "--defense parts.py:Raises", 2, "expected Raises.purify to return images, got ValueError: two lines; run it under --debug"),
    ("defense that is not reproducible", OWN + "--defense parts.py:Drifts", 2, "to give the same logits twice|got a difference|draw from `noise` only"),
    ("defense that loses the gradient", OWN + "--defense parts.py:Detaches", 2, "expected gradients through parts.py:Detaches|got RuntimeError|set `differentiable = False`"),
    ("argument that is no text", OWN + "--defense parts.py:Holds -D network=x", 2, "expected parts.py:Holds -D network=|cannot be written as text, got 'x'; leave it"),
    ("object without a signature", OWN + "--defense builtins:dict", 2, "expected|got|dict"),
    ("attack that is none", OWN + "--attack parts.py:right", 2, "expected parts.py:right to be an attack, a function of model, x, y, threat, noise|got: too many positional|correct its signature"),
    # the user's attack: no wrong input, but a broken contract
    ("attack that leaves the ball", OWN + "--attack parts.py:far", 4, "expected the attack parts.py:far to stay in the ball linf:0.1|violations on samples [0, 1]|correct the attack"),
    ("attack that returns NaN", OWN + "--attack parts.py:nan", 4, "to stay in the ball|got violations on samples [0, 1]"),
    ("attack that changes the shape", OWN + "--attack parts.py:crop", 4, "expected the attack parts.py:crop to return|of shape (2, 1, 8, 8), got"),
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
    ("unknown kind to list", "list zzz", 2, "expected one of defenses, attacks|got 'zzz'; write"),
    ("unknown name to list", "list defenses dpsma", 2, "expected a defense, got 'dpsma'; did you mean dpsam"),
    ("unknown check to list", "list checks leek", 2, "expected the name of a check, got 'leek' (did you mean leak?); see: bench list checks"),
    ("unknown run", "show 123abc --results results", 2, "expected the id|got '123abc', where no record is; check --results"),
    ("report of an unknown run", "report 123abc --results results", 2, "expected the id|got '123abc', where no record is"),
    ("no run named", "show --results results", 2, "Missing argument|see: bench show --help"),
    ("leaderboard of an empty folder", "leaderboard --results results", 2, "expected finished runs below results, got none that fit; make one: bench run"),
    ("unknown format", "leaderboard --format xml", 2, "expected --format md|got 'xml'; choose one"),
    ("too few images to train on", "train classifier --quiet --dataset npz:good.npz --epochs 1", 2, "expected at least 128 training images|got 5; add images"),
    ("no epochs", "train classifier --quiet --dataset npz:good.npz --epochs 0", 2, "expected --epochs of at least 1, got 0; leave it out"),
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
    said(capsys, "expected copy.safetensors with sha256", "got another content", "reinstall or train them again")
    Path("copy.safetensors").unlink()
    assert main([*shlex.split(RUN), "--classifier", "weights:copy.safetensors"]) == 2
    said(capsys, "expected the weights file copy.safetensors", "No such file", "check the path")
    Path("copy.json").write_text("{}")
    assert main([*shlex.split(RUN), "--classifier", "weights:copy.safetensors"]) == 2
    said(capsys, "copy", "got")


def test_a_file_stands_where_the_results_go(capsys):
    Path("results").touch()
    assert run() == 2
    said(capsys, "expected a folder that can be written at results", "got: ", "choose another --results")


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
    ("number", "text", "part"),
    [(1, b"{", "got a damaged line 1"), (2, b"null", "got a damaged line 2"), (2, None, "got id 0 again in line 2")],
)
def test_a_damaged_line(number, text, part, capsys):
    assert run() == 0
    capsys.readouterr()
    file = record() / "samples.jsonl"
    rows = file.read_bytes().splitlines()
    rows[number - 1] = text or rows[0]
    file.write_bytes(b"\n".join(rows) + b"\n")
    for command in (OWN, f"show {record()}"):
        assert main(shlex.split(command)) == 2
        said(capsys, "expected", "samples.jsonl", part, "move the record away")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda text: text.replace('"format": 1', '"format": 99'), ["expected a record of format 1", "got format 99; use"]),
        (lambda text: text[:40], ["expected JSON in", "run.json, got: ", "restore the file"]),
        (lambda text: "[]", ["expected a record of format 1", "got format list"]),
        (lambda text: '{"format": 1}', ["expected", "run.json", "got", "restore the file"]),
    ],
    ids=["another format", "no JSON", "a list", "keys missing"],
)  # fmt: skip
def test_a_damaged_header(change, parts, capsys):
    assert run() == 0
    capsys.readouterr()
    file = record() / "run.json"
    file.write_text(change(file.read_text()))
    for command in (OWN, f"show {record()}", "leaderboard --results results"):
        assert main(shlex.split(command)) == 2
        said(capsys, *parts)


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
    said(capsys, f"with {key} other", "pass --mix-environments")
    assert run("-n", "3", "--mix-environments") == 0
    assert list(json.loads(file.read_text())["environments"]) == ["earlier", name]
    assert [line["environment"] for line in lines(record())] == ["earlier", "earlier", name]


def test_a_record_that_another_process_writes(capsys):
    assert run() == 0
    capsys.readouterr()
    with open(record() / "samples.jsonl", "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert run("-n", "3") == 2
        said(capsys, "expected the record", "to be free, got one that another process is writing; wait for it")


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
    said(capsys, "expected space to write", "got a full disk; free some and repeat the same command")
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
    said(capsys, "expected the id, a unique prefix", "got 'aa', which fits 2 of them: aa1, aa2", "write more of it")
    assert main(["show", "aa1", "--results", "other"]) == 0


def test_a_run_without_finished_images(capsys):
    assert run("--attack", "parts.py:stop") == 3
    capsys.readouterr()
    assert main(["show", str(record())]) == 2
    said(capsys, "expected a run with finished images in", "got none yet; repeat the command that began it")


def test_a_leaderboard_that_cannot_be_written_or_compared(capsys):
    assert run() == 0
    capsys.readouterr()
    assert main(["leaderboard", "--results", "results", "--out", "absent/board.md"]) == 2
    said(capsys, "expected to write absent/board.md, got: No such file or directory; choose another --out")
    assert main(["leaderboard", "--results", "results", "--against", "zzz"]) == 2
    said(capsys, "expected --against to name a defense of the table (none), got 'zzz'; copy its name")


def test_an_unexpected_error_is_one_sentence(capsys, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(bench.run.runner, "run", fail)
    assert run() == 4
    said(capsys, "unexpected ZeroDivisionError: division by zero; run again with --debug and report it")
