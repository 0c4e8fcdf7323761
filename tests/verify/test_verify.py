"""A record verifies as it is, wherever it is scored; a changed bit, a forged line and a foreign part are found."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from scipy.stats import binom
from tampered import change_line, reseal

from bench.cli.main import main
from bench.compare.findings import Finding, Flip
from bench.console.verify import verification_text
from bench.records.seal import broken_seal, own_hash
from bench.verify.fresh import LEVEL, fresh_mean
from bench.verify.verification import Verification
from bench.verify.verify import integrity, opened

PLACES = 200
RUN = "run --quiet --device cpu --defense tweedie --attack pgd-full -A steps=2 -A losses=cw -n 4 --batch-size 3"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A complete record with evidence, made by one thread in batches of 3, and an audit beside it."""
    folder, threads = tmp_path_factory.mktemp("original"), torch.get_num_threads()
    torch.set_num_threads(1)
    assert main([*RUN.split(), "--results", str(folder)]) == 0
    torch.set_num_threads(threads)
    path = next(folder.glob("*/*/*"))
    audit = {"verdict": "believed", "value": 1e-9}
    (path / "audit.json").write_text(json.dumps(audit | {"sha256": own_hash(audit)}, indent=1) + "\n")
    return path


@pytest.fixture
def record(original, tmp_path):
    """A copy to tamper with."""
    shutil.copytree(original, tmp_path / "record")
    return tmp_path / "record"


def verified(capsys, *words):
    """The exit code of `bench verify`, and its report."""
    capsys.readouterr()
    code = main(["verify", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def failed(report):
    return {finding["check"] for finding in report["findings"] if finding["passed"] is False}


def detail(report, check):
    return next(finding["detail"] for finding in report["findings"] if finding["check"] == check)


# --- honest records


def test_another_batch_size_and_thread_count(original, capsys):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    code, report = verified(capsys, original, "--batch-size", 2)
    torch.set_num_threads(threads)
    assert (code, report["verified"], report["differing"]) == (0, True, [])
    assert {"seal", "run id", "lines", "parts", "images", "clean predictions", "ball and box", "adversarial predictions", "margins"} <= {
        finding["check"] for finding in report["findings"] if finding["passed"]
    }  # fmt: skip
    assert any("none was run" in text for text in report["unchecked"])
    assert any("another environment" in text for text in report["unchecked"])


def test_packed_and_by_its_id(original, tmp_path, capsys):
    archive = tmp_path / "a.zip"
    results = original.parents[2]
    assert main(["pack", original.name[:6], "--out", str(archive), "--results", str(results)]) == 0
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in capsys.readouterr().out
    assert main(["verify", str(archive)]) == 0
    out = capsys.readouterr().out
    *_, verdict, title, remark, command = out.splitlines()
    assert (verdict, title, command) == ("verified", "next", f"  bench import {archive}"), remark
    assert "  ok    margins: they differ by at most 0.0e+00" in out  # the record's own environment, bit by bit
    code, report = verified(capsys, original.name[:6], "--results", results)
    assert (code, report["run_id"]) == (0, original.name)


def test_the_bytes_of_a_packed_record_do_not_depend_on_the_folder(original, record, tmp_path):
    for file in record.rglob("*"):
        os.utime(file, (1e9, 1e9))
        file.chmod(0o700)
    for path, name in ((original, "a.zip"), (record, "b.zip")):
        assert main(["pack", str(path), "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_stochastic_defense_is_drawn_from_anew(tmp_path, capsys):
    words = "run --quiet --device cpu --defense denoise-once --attack null -n 3 --draws 2 --results"
    assert main([*words.split(), str(tmp_path)]) == 0
    code, report = verified(capsys, next(tmp_path.glob("*/*/*")))
    assert code == 0
    assert "an honest record fails once in 1000" in detail(report, "fresh draws")


def test_without_evidence_it_says_so(record, capsys):
    shutil.rmtree(record / "adversarial")
    reseal(record)
    code, report = verified(capsys, record)
    assert code == 0
    assert detail(report, "evidence").startswith("4 of 4 adversarial images are not stored")
    assert main(["verify", str(record)]) == 0
    assert capsys.readouterr().out.endswith("verified, except: evidence\n")


# --- what is printed


@pytest.mark.parametrize("changed", [False, True])
def test_lines_fit_and_go_on_in_the_second_column(changed, original, record, monkeypatch, capsys):
    if changed:
        for place in range(4):
            change_line(record, place, clean=[9], distance=0.01)
    monkeypatch.chdir(record.parent)
    assert main(["pack", "record", "--out", "a.zip", "--quiet"]) == 0
    report = verified(capsys, "a.zip")[1]
    assert main(["verify", "a.zip"]) == int(changed)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    told = [f"{finding['check']}: {finding['detail']}" for finding in report["findings"]]
    told += [f"not checked: {what}" for what in report["unchecked"]]
    assert max(map(len, told)) > 80
    assert [words for words in told if words not in " ".join(text.split())] == []
    assert "remarks of the attack: taken as recorded\n" in text


def test_findings_and_images_that_are_too_long_for_a_line():
    flips = [Flip(sample, 3, "adversarial", [3] * 10, [5] * 10, 0.25) for sample in range(10_000, 10_030)]
    finding = Finding(check="margins", passed=False, detail="they differ " * 12 + "in the end", flips=flips)
    unsettled = [Finding(check=f"check {number} of the parts", passed=None, detail="-") for number in range(5)]
    failed, but = (
        verification_text(Verification(run="a.zip", run_id="a" * 12, findings=part)) for part in ([finding], unsettled)
    )
    assert max(map(len, [*failed.splitlines(), *but.splitlines()])) <= 80
    assert "\n        they differ they differ" in failed
    assert (
        "image 10000 (class 3), adversarial: 3 3 3 3 3 3 3 3 3 3 -> 5 5 5 5 5 5 5 5 5 5, recorded margin 0.25"
        in " ".join(failed.split())
    )
    assert " ".join(failed.split()).endswith(f"NOT VERIFIED: images {', '.join(map(str, range(10_000, 10_030)))}")
    assert but.splitlines()[-2:] == [
        "verified, except: check 0 of the parts, check 1 of the parts, check 2 of the",
        "                  parts, check 3 of the parts, check 4 of the parts",
    ]


# --- flipped bits


def places(sizes):
    """Files and bits to flip, each file as often as any other."""
    random = np.random.Generator(np.random.Philox(key=7))
    names = sorted(sizes)
    for number in range(PLACES):
        name = names[number % len(names)]
        yield name, int(random.integers(sizes[name])), int(random.integers(8))


def flip(file, content, place, bit):
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    file.write_bytes(changed)


def test_a_flipped_bit_of_any_file(record):
    files = {file: file.read_bytes() for file in record.rglob("*") if file.is_file()}
    assert len(files) == 5
    assert integrity(record, []).passed
    for file, place, bit in places({file: len(content) for file, content in files.items()}):
        flip(file, files[file], place, bit)
        assert not integrity(record, []).passed, (file.name, place, bit)
        file.write_bytes(files[file])


def test_a_flipped_bit_that_leaves_the_value_of_an_audit_as_it_is(record):
    """`1e-09` and `1E-09` are one bit and no difference in value apart."""
    audit = record / "audit.json"
    audit.write_bytes(audit.read_bytes().replace(b"1e-09", b"1E-09"))
    assert broken_seal(record) == ["audit.json is not what was written: its own hash does not fit"]


def test_a_flipped_bit_of_a_packed_record(original, tmp_path):
    archive = tmp_path / "a.zip"
    assert main(["pack", str(original), "--out", str(archive), "--quiet"]) == 0
    content = archive.read_bytes()
    for _, place, bit in places({archive: len(content)}):
        flip(archive, content, place, bit)
        with opened(tmp_path, str(archive)) as (path, packing):
            assert not integrity(path, packing).passed, (place, bit)


@pytest.mark.parametrize("extra", [b"x", b"\0" * 40])
def test_bytes_around_a_packed_record(original, tmp_path, extra, capsys):
    archive = tmp_path / "a.zip"
    assert main(["pack", str(original), "--out", str(archive)]) == 0
    content = archive.read_bytes()
    for padded in (content + extra, extra + content):
        archive.write_bytes(padded)
        code, report = verified(capsys, archive)
        assert (code, failed(report)) == (1, {"seal"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda path: (path / "samples.jsonl").unlink(), "samples.jsonl is listed and missing"),
        (lambda path: (path / "more.txt").write_text("x"), "more.txt is not listed"),
        (lambda path: (path / "run.json").write_text("{}"), "run.json changed"),
        (lambda path: (path / "SHA256SUMS").unlink(), "it has no SHA256SUMS"),
        (lambda path: (path / "SHA256SUMS").write_text((path / "SHA256SUMS").read_text().rstrip()), "SHA256SUMS is not in the form in which it is written"),
        (lambda path: (path / "audit.json").write_text("{}"), "audit.json is not what was written"),
    ],
)  # fmt: skip
def test_a_broken_seal_is_told_in_words(change, sentence, record, capsys):
    change(record)
    code, report = verified(capsys, record)
    assert (code, failed(report)) == (1, {"seal"})
    assert sentence in detail(report, "seal")


def test_a_link_in_a_record(record, capsys):
    (record / "samples.jsonl").rename(record / "run.json.old")
    (record / "samples.jsonl").symlink_to("run.json.old")
    assert "samples.jsonl is a link" in detail(verified(capsys, record)[1], "seal")


# --- forged and sealed again


def test_another_spec_under_the_same_id(record, capsys):
    header = json.loads((record / "run.json").read_text())
    header["spec"]["seed"] = 1
    (record / "run.json").write_text(json.dumps(header))
    reseal(record)
    code, report = verified(capsys, record)
    assert (code, failed(report)) == (1, {"run id"})


def test_a_prediction_without_its_margin(record, capsys):
    label = json.loads((record / "samples.jsonl").read_text().splitlines()[1])["label"]
    change_line(record, 1, adversarial=[(label + 1) % 10], margin=[0.1])
    assert failed(verified(capsys, record)[1]) == {"lines"}


def test_clean_predictions(record, capsys):
    line = change_line(record, 2, clean=[9])
    code, report = verified(capsys, record)
    assert line["label"] != 9
    assert (code, failed(report), report["differing"]) == (1, {"clean predictions"}, [line["id"]])


def test_margins_and_distances(record, capsys):
    margin = json.loads((record / "samples.jsonl").read_text().splitlines()[0])["margin"][0]
    first = change_line(record, 0, margin=[1.01 * margin])
    second = change_line(record, 1, distance=0.01)
    code, report = verified(capsys, record)
    assert (code, failed(report)) == (1, {"margins", "ball and box"})
    assert report["differing"] == sorted([first["id"], second["id"]])


def test_images_that_were_left_out(record, capsys):
    file = record / "samples.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    reseal(record)
    code, report = verified(capsys, record)
    assert (code, failed(report)) == (1, {"images"})
    assert "not the first 3 images of fashion-mnist in its order" in detail(report, "images")


def test_evidence_of_another_shape(record, capsys):
    (file,) = record.glob("adversarial/*")
    arrays = load_file(file)
    save_file(arrays | {"images": np.ascontiguousarray(arrays["images"][:, :, 1:])}, file)
    reseal(record)
    assert "expected adversarial images of shape (1, 28, 28)" in detail(verified(capsys, record)[1], "scores")


# --- mistakes


def test_an_unknown_record(tmp_path, capsys):
    assert main(["verify", "zzz", "--results", str(tmp_path)]) == 2
    assert "[record-results-empty]" in capsys.readouterr().err


def test_what_cannot_be_packed(record, tmp_path, capsys):
    (record / "SHA256SUMS").rename(tmp_path / "SHA256SUMS")
    assert main(["pack", str(record), "--out", str(tmp_path / "a.zip")]) == 2
    assert "[pack-incomplete]" in capsys.readouterr().err
    (tmp_path / "SHA256SUMS").rename(record / "SHA256SUMS")
    (record / "samples.jsonl").write_text("")
    assert main(["pack", str(record), "--out", str(tmp_path / "a.zip")]) == 1
    assert "samples.jsonl changed; restore it, or run it again [pack-seal-broken]" in capsys.readouterr().err
    assert not (tmp_path / "a.zip").exists()


OWN = """
from pathlib import Path
Path("ran").touch()
class Own:
    deterministic = True
    def purify(self, x, noise): return x
"""


def test_code_that_a_record_names(tmp_path, monkeypatch, forget_files, capsys):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    words = "run --quiet --device cpu --defense own.py:Own --attack null -n 1"
    assert main(words.split()) == 0
    (path,) = Path("results").glob("*/*/*")
    Path("ran").unlink()
    forget_files()
    assert main(["verify", str(path)]) == 2
    assert "[code-not-allowed]" in capsys.readouterr().err
    assert not Path("ran").exists()
    assert main(["verify", str(path), "--allow-code"]) == 0
    assert Path("ran").exists()
    Path("own.py").unlink()
    capsys.readouterr()
    assert main(["verify", str(path), "--allow-code"]) == 2
    printed = capsys.readouterr()
    assert "the file own.py in the folder where this is typed" in printed.err
    assert "[verify-file-missing]" in printed.err
    assert "VERIFIED" not in printed.out


@pytest.mark.parametrize("changed", [True, False])
def test_a_comment_in_the_code_is_other_code(changed, tmp_path, monkeypatch, forget_files, capsys):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    assert main(["run", "--quiet", "--device", "cpu", "--defense", "own.py:Own", "--attack", "null", "-n", "1"]) == 0
    (path,) = Path("results").glob("*/*/*")
    forget_files()
    Path("own.py").write_text(OWN + "# a word\n" * changed)
    capsys.readouterr()
    assert main(["verify", str(path), "--allow-code"]) == changed
    told = " ".join(capsys.readouterr().out.split())
    said = "; the bytes of its file, or of a module that it imports, changed: even a new comment"
    assert bool(re.search(f"FAIL parts: defense content [0-9a-f]{{8}} -> [0-9a-f]{{8}}{said}", told)) == changed
    assert ("comment" in told) == changed


def test_a_name_that_is_nothing_here_is_told_in_one_sentence(record, capsys):
    header = json.loads((record / "run.json").read_text())
    header["labels"]["dataset"] = "their-images"
    (record / "run.json").write_text(json.dumps(header))
    reseal(record)
    assert main(["verify", str(record)]) == 2
    err = capsys.readouterr().err
    assert "the data set 'their-images'" in err
    assert err.endswith("bench list datasets) [verify-part-unknown]\n")


# --- fresh draws, by known distributions


@pytest.mark.parametrize("n", [8, 40, 400])
def test_the_interval_of_fair_coins_is_that_of_the_binomial_distribution(n):
    """One of two draws right in every image: the fresh one is right with probability one half."""
    fresh = np.arange(n) % 2 == 0
    mean = fresh_mean(~fresh[:, None], fresh)
    low, high = binom.ppf([LEVEL / 2, 1 - LEVEL / 2], n, 0.5) / n
    assert (mean.value, mean.low, mean.high) == (0.5, low, high)
    assert mean.inside


def test_images_that_never_change_leave_no_room():
    recorded = np.array([[True] * 5] * 3 + [[False] * 5] * 2)
    assert fresh_mean(recorded, recorded[:, 0]) == fresh_mean(recorded[:, :1], recorded[:, 0])
    mean = fresh_mean(recorded, recorded[:, 0])
    assert (mean.value, mean.low, mean.high) == (0.6, 0.6, 0.6)


def test_draws_that_are_worse_than_the_recorded_ones():
    recorded, fresh = np.ones((100, 10), dtype=bool), np.arange(100) >= 30
    assert not fresh_mean(recorded, fresh).inside


def test_a_seal_lists_every_file_in_order(record):
    assert broken_seal(record) == []
    names = [line[66:] for line in (record / "SHA256SUMS").read_text().splitlines()]
    assert names == ["adversarial/00000.safetensors", "run.json", "samples.jsonl"]
