"""Files from strangers: what they would like to do, and that it is refused in one sentence."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from refused import refused
from safetensors.numpy import save_file

import bench.models.weights
from bench.cli.main import main
from bench.data.arrays import npz
from bench.files.archive import extract
from bench.files.documents import check_printable, printable, read_json, read_toml
from bench.models.weights import read_weights
from bench.records.evidence import read_shard
from bench.records.lookup import find_record, record_paths
from bench.records.record import read_record
from bench.records.writer import RecordWriter
from bench.suite.file import read_suite

ESCAPE = "\x1b]0;owned\x07\x1b[31m"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def record():
    """A record, as bench run makes it."""
    words = "run --quiet --defense none --attack null -n 2 --device cpu --results results"
    assert main(words.split()) == 0
    (path,) = Path("results").glob("*/*/*")
    return path


def blocked(code, function, *arguments):
    with refused(code) as error:
        function(*arguments)
    assert "\x1b" not in str(error.value)
    return error.value


# --- text


def test_printable_text_stays_as_it_is():
    text = "Überblick 8/255 × 2 — ‘ok’ 图像\n\tdone"
    assert printable(text) == text


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\x00", "\r", "\x7f", "‮", "⁦", "‪", "\ud800"])
def test_what_steers_a_terminal_is_escaped_and_refused(character):
    assert character not in printable(f"a{character}b")
    blocked("file-control-characters", check_printable, {"a": [f"x{character}"]}, Path("f"))
    blocked("file-control-characters", check_printable, {f"k{character}": 1}, Path("f"))


def header(record, change):
    file = record / "run.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["labels"].update(defense=ESCAPE),
        lambda h: h["spec"]["defense"]["args"].update({ESCAPE: 1}),
        lambda h: h.update(notes=[f"note {ESCAPE}"]),
        lambda h: h["environments"].update({"e": {"device_name": ESCAPE}}),
    ],
)
def test_a_header_with_terminal_escapes_is_refused(record, change, capsys):
    header(record, change)
    capsys.readouterr()
    assert main(["show", str(record)]) == 2
    out, err = capsys.readouterr()
    assert "[file-control-characters]" in err
    assert "\x1b" not in out + err


def test_what_an_attack_said_is_escaped_where_it_is_shown(record, capsys):
    file = record / "samples.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({**line, "said": {"flags": [ESCAPE]}}) + "\n" for line in lines))
    capsys.readouterr()
    assert main(["show", str(record)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b]0;owned" in out


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda h: h["spec"].pop("threat"), "spec.threat"),
        (lambda h: h["spec"].update(more=1), "spec.more"),
        (lambda h: h.update(run_id="../../../etc"), "run_id"),
        (lambda h: h["checks"].update(gradient_error="exact"), "checks.gradient_error"),
        (lambda h: h.update(environments=[1]), "environments"),
        (lambda h: h.update(labels={"defense": {"a": 1}, "attack": "b"}), "labels.defense"),
    ],
)
def test_a_header_of_another_shape_is_refused(record, change, key):
    header(record, change)
    assert f"got {key}: " in str(blocked("record-header-damaged", read_record, record))


@pytest.mark.parametrize(
    "change",
    [
        {"clean": []},
        {"clean": [3, 3]},
        {"adversarial": [2**40]},
        {"label": -1},
        {"id": 2**70},
        {"margin": ["NaN"]},
        {"distance": float("inf")},
        {"cost": {"score_forward": -1}},
        {"cost": {"another": 1}},
        {"said": "\ud800"},
        {"said": {"flags": [[1]]}},
        {"said": {"flags": 3}},
    ],
)
def test_lines_that_would_break_the_figures_are_damaged(record, change):
    file = record / "samples.jsonl"
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    file.write_text(json.dumps(first) + "\n" + json.dumps({**second, **change}) + "\n")
    blocked("record-line-damaged", read_record, record)


def test_a_line_without_an_end_does_not_fill_the_memory(record, monkeypatch):
    monkeypatch.setattr("bench.records.lines.LONGEST", 1000)
    with open(record / "samples.jsonl", "ab") as file:
        file.write(b" " * 5000)
    blocked("record-line-damaged", read_record, record)


# --- depth and size


@pytest.mark.parametrize(("read", "text"), [(read_json, "[" * 100_000), (read_json, '{"a":' * 40 + "1" + "}" * 40), (read_toml, "a = " + "[" * 50_000), (read_toml, "a = " + "[" * 60 + "]" * 60)])  # fmt: skip
def test_deep_nesting(read, text):
    Path("deep").write_text(text)
    blocked("document-too-deep", read, Path("deep"))


@pytest.mark.parametrize("name", ["run.json", "card"])
def test_documents_of_many_megabytes_are_not_read(record, name):
    with open(record / "run.json", "r+b") as file:
        file.truncate((16 << 20) + 1)
    blocked("file-too-large", read_record, record)


def test_a_pipe_is_no_document():
    os.mkfifo("pipe")
    blocked("file-not-regular", read_suite, Path("pipe"))


def test_deep_lines(record):
    with open(record / "samples.jsonl", "ab") as file:
        file.write(b'{"said":' + b"[" * 200_000 + b"\n")
    blocked("record-line-damaged", read_record, record)


# --- links


def test_a_record_does_not_reach_out_by_links(record, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("samples.jsonl", "run.json", "SHA256SUMS"):
        shutil.copy(record / name, outside / name)
        (record / name).unlink()
        (record / name).symlink_to(outside / name)
        blocked("link-leads-out", read_record, record)
        (record / name).unlink()
        shutil.copy(outside / name, record / name)


def test_nothing_is_written_through_a_link(record, tmp_path, capsys):
    outside = tmp_path / "precious"
    outside.write_text("precious\n")
    (record / "samples.jsonl").unlink()
    (record / "samples.jsonl").symlink_to(outside)
    words = "run --quiet --defense none --attack null -n 3 --device cpu --results results"
    assert main(words.split()) == 2
    assert outside.read_text() == "precious\n"
    (record / "samples.jsonl").unlink()
    shutil.rmtree(record / "adversarial")
    (tmp_path / "elsewhere").mkdir()
    (record / "adversarial").symlink_to(tmp_path / "elsewhere")
    assert main(words.split()) == 2
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert capsys.readouterr().err.count("[link-leads-out]") == 2


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_results_folder_with_links_out_of_it(record, level, tmp_path):
    linked = [record, record.parent, record.parents[1]][level]
    moved = tmp_path / "moved"
    linked.rename(moved)
    linked.symlink_to(moved)
    blocked("link-leads-out", record_paths, Path("results"))
    blocked("link-leads-out", lambda: RecordWriter(record, json.loads((record / "run.json").read_text())))


def test_links_inside_the_results_folder_and_to_it_are_fine(record):
    Path("other").symlink_to("results")
    assert [path.name for path in record_paths(Path("other"))] == [record.name]
    Path("results/copy").mkdir()
    Path("results/copy/linf").symlink_to(record.parent.resolve())
    assert len(record_paths(Path("results"))) == 2
    assert read_record(find_record(Path("other"), str(Path("other/copy/linf") / record.name))).run_id == record.name


# --- archives


def packed(*members, **options):
    with zipfile.ZipFile("a.zip", "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return Path("a.zip")


def test_the_files_of_a_record_are_unpacked(record):
    files = [(file.relative_to(record).as_posix(), file.read_bytes()) for file in record.rglob("*") if file.is_file()]
    paths = extract(packed(*files, compression=zipfile.ZIP_DEFLATED), Path("target"))
    assert sorted(path.relative_to("target").as_posix() for path in paths) == sorted(name for name, _ in files)
    assert read_record(Path("target")).lines == read_record(record).lines


@pytest.mark.parametrize(
    "name",
    [
        "../run.json", "/run.json", "adversarial/../../run.json", "run.json/..", "C:\\run.json", "adversarial\\00000.safetensors",
        "other.txt", "RUN.JSON", f"run.json{ESCAPE}", "adversarial/00000.pkl",
    ],
)  # fmt: skip
def test_names_that_are_not_a_records(name, tmp_path):
    blocked("archive-names", extract, packed((name, "x")), Path("target"))
    assert not Path("target").exists()


def test_names_twice():
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = packed(("run.json", "a"), ("run.json", "b"))
    blocked("archive-names", extract, archive, Path("target"))


def test_links_in_an_archive():
    link = zipfile.ZipInfo("run.json")
    link.external_attr = 0o120777 << 16
    blocked("archive-links", extract, packed((link, "/etc/passwd")), Path("target"))


def test_encrypted_members():
    archive = packed(("run.json", "x"))
    content = bytearray(archive.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    archive.write_bytes(content)
    blocked("archive-links", extract, archive, Path("target"))


def test_nothing_is_replaced_and_no_link_followed():
    Path("target").mkdir()
    Path("precious").write_text("precious")
    Path("target/run.json").symlink_to(Path("precious").resolve())
    blocked("archive-not-zip", extract, packed(("run.json", "x")), Path("target"))
    assert Path("precious").read_text() == "precious"


def bomb(name, size):
    """A member of zeros that unpacks to `size` bytes."""
    with zipfile.ZipFile("bomb.zip", "w", compression=zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w", force_zip64=True) as member:  # fmt: skip
        member.write(
            b"\x93NUMPY\x01\x00v\x00"
            + str({"descr": "|u1", "fortran_order": False, "shape": (size,)}).ljust(117).encode()
            + b"\n"
        )
        for _ in range(size >> 24):
            member.write(bytes(1 << 24))
    return Path("bomb.zip")


def test_a_decompression_bomb_is_not_unpacked():
    archive = bomb("images.npy", 320 << 20)
    assert archive.stat().st_size < 1 << 20
    for function, arguments in ((npz, ()), (extract, (Path("target"),))):
        started = time.monotonic()
        with refused("archive-bomb", match="320 MiB"):
            function(path=str(archive)) if function is npz else function(archive, *arguments)
        assert time.monotonic() - started < 5


def test_too_many_bytes_in_all():
    archive = packed(("run.json", "x" * 2000), ("samples.jsonl", "y" * 2000))
    with refused("archive-too-large"):
        extract(archive, Path("target"), most=3000)


def test_damaged_archives():
    content = packed(("run.json", "x" * 1000), compression=zipfile.ZIP_DEFLATED).read_bytes()
    for damaged in (content[:40], b"", content.replace(b"\x03\x04", b"\x03\x05", 1)):
        Path("b.zip").write_bytes(damaged)
        blocked("archive-not-zip", extract, Path("b.zip"), Path("target"))


class Evil:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def test_a_pickle_inside_npz_is_never_loaded():
    np.savez("evil.npz", images=np.array([Evil()], dtype=object), labels=np.zeros(1, int))
    blocked("npy-objects", lambda: npz(path="evil.npz"))
    Path("pickle.npz").write_bytes(b"\x80\x04cos\nmkdir\n(Vpwned\ntR.")
    blocked("npz-unreadable", lambda: npz(path="pickle.npz"))
    assert not Path("pwned").exists()


def member(shape, descr="|u1", content=b"1234"):
    head = str({"descr": descr, "fortran_order": False, "shape": shape}).ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00v\x00" + head + content


@pytest.mark.parametrize("shape", [(10**12,), (5,), (3,), (2**62, 2**62), (-1,)])
def test_an_array_that_promises_more_than_there_is(shape):
    with zipfile.ZipFile("big.npz", "w") as archive:
        archive.writestr("images.npy", member(shape))
        archive.writestr("labels.npy", member((4,)))
    blocked("npy-size", lambda: npz(path="big.npz"))


def test_arrays_of_a_later_version():
    with zipfile.ZipFile("later.npz", "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x09\x00v\x00")
    blocked("npy-version", lambda: npz(path="later.npz"))


# --- weights and evidence


@pytest.fixture
def weights():
    for suffix in (".safetensors", ".json"):
        shutil.copy((bench.models.weights.EMBEDDED / "fashion-mnist-classifier").with_suffix(suffix), f"w{suffix}")
    return Path("w.safetensors")


def card(change):
    content = json.loads(Path("w.json").read_text())
    change(content)
    Path("w.json").write_text(json.dumps(content))


def resign(content):
    """Writes weights with a card that vouches for them."""
    import hashlib

    Path("w.safetensors").write_bytes(content)
    card(lambda c: c.update(sha256=hashlib.sha256(content).hexdigest()))


@pytest.mark.parametrize(
    "content",
    [struct.pack("<Q", 2**62) + b"{}", struct.pack("<Q", 200 << 20) + b"{" * 100, b"", b"\x80\x04.", struct.pack("<Q", 8) + b"[" * 8],
    ids=["a header of 4 EiB", "a header of 200 MiB", "nothing", "a pickle", "no JSON"],
)  # fmt: skip
def test_weights_with_a_header_that_lies(weights, content):
    resign(content)
    blocked("weights-other-architecture", read_weights, weights)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda c: c["recipe"].update(architecture="os:system"), "weights-architecture"),
        (lambda c: c["recipe"]["arguments"].update(command="rm"), "weights-arguments"),
        (lambda c: c.pop("recipe"), "weights-card-damaged"),
        (lambda c: c.update(recipe=3), "weights-card-damaged"),
        (lambda c: c.update(sha256=None), "weights-card-damaged"),
        (lambda c: c.update(image_shape=3), "weights-card-damaged"),
    ],
)
def test_cards_that_name_anything_else(weights, change, code):
    card(change)
    blocked(code, read_weights, weights)


def test_a_card_that_is_nested_too_deep(weights):
    Path("w.json").write_text("[" * 100_000)
    blocked("document-too-deep", read_weights, weights)


@pytest.mark.parametrize(
    "arrays",
    [{"ids": np.zeros(2, np.int64)}, {"ids": np.zeros(2, np.int64), "images": np.zeros((3, 1, 2, 2), np.float32)},
     {"ids": np.zeros(2, np.int64), "images": np.zeros((2, 2, 2), np.float32)},
     {"ids": np.zeros((2, 1), np.int64), "images": np.zeros((2, 1, 2, 2), np.float32)},
     {"ids": np.zeros(2, np.int64), "images": np.zeros((2, 1, 2, 2), np.int32)},
     {"ids": np.zeros(2, np.float32), "images": np.zeros((2, 1, 2, 2), np.float32)}],
)  # fmt: skip
def test_adversarial_images_of_another_shape(arrays):
    save_file(arrays, "e.safetensors")
    blocked("evidence-shape" if "images" in arrays else "evidence-unreadable", read_shard, Path("e.safetensors"))
    Path("e.safetensors").write_bytes(io.BytesIO(b"junk").getvalue())
    blocked("evidence-unreadable", read_shard, Path("e.safetensors"))
