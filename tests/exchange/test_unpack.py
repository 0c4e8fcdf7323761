"""A packed record of somebody else lands among one's own, whole and as it was sealed, or not at all; no code runs."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from tampered import change_line, reseal

from bench.cli.main import main
from bench.exchange.unpack import _plain
from bench.records.seal import broken_seal, own_hash

RUN = "run --quiet --defense {} --attack pgd-full -A steps=1 -A losses=cw -n 3 --results {}"
OWN = (
    "from dataclasses import dataclass\nfrom typing import ClassVar\n\nprint('this file ran')\n\n\n"
    "@dataclass(frozen=True, kw_only=True)\nclass Same:\n    deterministic: ClassVar[bool] = True\n\n"
    "    def purify(self, x, noise):\n        return x\n"
)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("theirs")
    assert main(RUN.format("none", folder).split()) == 0
    return next(folder.glob("*/*/*"))


def packed(path, target):
    assert main(["pack", str(path), "--out", str(target), "--quiet"]) == 0
    return target


def files(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_it_lands_where_it_would_have_been_made_and_is_known_by_its_id(original, tmp_path, capsys):
    archive, mine = packed(original, tmp_path / "a.zip"), tmp_path / "mine"
    capsys.readouterr()
    for again in ("", "  was there already, unchanged"):
        assert main(["import", str(archive), "--results", str(mine)]) == 0
        place = mine.joinpath(*original.parts[-3:])
        told = capsys.readouterr().out.splitlines()
        assert told[0] == f"{place}{again}"
        commands = [line.split() for line in told if line.startswith("  bench ")]
        assert [words[1] for words in commands] == ["show", "verify", "audit"]
        assert commands[1] == ["bench", "verify", original.name, "--results", str(mine)]
        assert files(place) == files(original)
        assert [file.name for file in mine.iterdir()] == ["fashion-mnist"]
    assert main(["show", original.name[:5], "--results", str(mine)]) == 0
    assert main(["verify", original.name[:5], "--results", str(mine), "--quiet"]) == 0
    assert "claims  none under pgd-full" in capsys.readouterr().out


def test_a_record_of_the_same_id_is_not_replaced(original, tmp_path, capsys):
    mine = tmp_path / "mine"
    assert main(["import", str(packed(original, tmp_path / "a.zip")), "--results", str(mine)]) == 0
    other = shutil.copytree(original, tmp_path / "other")
    change_line(other, 0, seconds=1.0)
    reseal(other)
    capsys.readouterr()
    assert main(["import", str(packed(other, tmp_path / "b.zip")), "--results", str(mine)]) == 2
    assert "[unpack-conflict]" in capsys.readouterr().err
    assert files(mine.joinpath(*original.parts[-3:])) == files(original)


def test_two_records_that_claim_to_be_one_run_are_told_by_what_they_differ(original, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [json.loads(line) for line in (original / "samples.jsonl").read_text().splitlines()]
    right, other = sum(line["adversarial"] == [line["label"]] for line in lines), tmp_path / "other"
    shutil.copytree(original, other)
    for place, line in enumerate(lines):
        change_line(other, place, adversarial=[line["label"]], margin=[1.0])
    assert right < 3
    packed(other, "b.zip")
    assert main(["import", str(packed(original, "a.zip")), "--results", "mine"]) == 0
    capsys.readouterr()
    assert main(["import", "b.zip", "--results", "mine"]) == 2
    place = "/".join(original.parts[-3:])
    assert capsys.readouterr().err == (
        f"bench: expected no other record in mine/{place}, got two that claim to be run {original.name}, "
        f"robust {100 * right / 3:.1f} % of 3 images here, robust 100.0 % of 3 images in b.zip; import it with --results OTHER, "
        f"and bench compare mine/{place} OTHER/{place} shows the images that differ [unpack-conflict]\n"
    )
    assert main(["import", "b.zip", "--results", "OTHER"]) == 0
    capsys.readouterr()
    assert main(["compare", f"mine/{place}", f"OTHER/{place}"]) == 0
    assert (
        f"both have the id {original.name}, and their predictions differ on {3 - right} image"
        in capsys.readouterr().out
    )


def test_an_audit_that_was_made_here_is_not_asked_for_again(original, tmp_path, capsys):
    archive, mine = packed(original, tmp_path / "a.zip"), tmp_path / "mine"
    assert main(["import", str(archive), "--results", str(mine)]) == 0
    (mine.joinpath(*original.parts[-3:]) / "audit.json").write_text("{}\n")
    capsys.readouterr()
    assert main(["import", str(archive), "--results", str(mine)]) == 0
    assert "bench audit" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("fashion-mnist", True), ("npz-my data (1)", True), ("folder-ünïcode", True), ("_own", True),
        ("", False), ("..", False), (".hidden", False), ("a/b", False), ("a\\b", False), ("a\nb", False), ("a\u202eb", False),
    ],
)  # fmt: skip
def test_names_that_stay_in_their_folder(name, plain):
    assert _plain(name) is plain


@pytest.mark.parametrize("kind", ["changed", "nothing", "folder", "id", "name"])
def test_what_is_no_record_as_it_was_packed_leaves_nothing(kind, original, tmp_path, capsys):
    record, archive, mine = shutil.copytree(original, tmp_path / "record"), tmp_path / "a.zip", tmp_path / "mine"
    header, code = (record / "run.json").read_text(), 2
    if kind == "changed":
        packed(record, archive)
        with zipfile.ZipFile(archive) as source, zipfile.ZipFile(tmp_path / "b.zip", "w") as target:
            for name in source.namelist():
                target.writestr(name, source.read(name).replace(b'"clean":[', b'"clean":[ '))
        archive, code = tmp_path / "b.zip", 1
    elif kind == "nothing":
        archive.write_bytes(b"PK")
    elif kind == "folder":
        archive.mkdir()
    else:
        old, new = {"id": (original.name, "0" * 12), "name": ('"fashion-mnist"', '"../../elsewhere"')}[kind]
        assert old in header
        (record / "run.json").write_text(header.replace(old, new, 1))
        reseal(record)
        packed(record, archive)
    capsys.readouterr()
    assert main(["import", str(archive), "--results", str(mine)]) == code
    assert capsys.readouterr().err.startswith("bench: expected ")
    assert not mine.exists() or not list(mine.iterdir())
    assert not (tmp_path / "elsewhere").exists()


def test_code_is_named_where_it_is_packed_and_does_not_run_where_it_is_unpacked(
    tmp_path, monkeypatch, forget_files, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    assert main(RUN.format("own.py:Same", "theirs").split()) == 0
    path = next(Path("theirs").glob("*/*/*"))
    capsys.readouterr()
    assert main(["pack", str(path), "--out", "a.zip"]) == 0
    out = capsys.readouterr().out
    assert (
        "not in it: own.py, the code of own.py:Same, and the modules beside it that it imports; send them too:\n"
        "  own.py has to be in the folder where bench verify is run\n"
    ) in out
    assert out.endswith("  bench verify a.zip --allow-code\n")
    assert "no audit is in it" in out
    forget_files()
    (tmp_path / "own.py").rename(tmp_path / "read_first.py")
    assert main(["import", "a.zip", "--results", "mine"]) == 0
    told = capsys.readouterr().out
    assert f"  bench verify {path.name} --results mine --allow-code\n" in told
    assert f"  bench audit {path.name} --results mine --quick --allow-code\n" in told
    (tmp_path / "read_first.py").rename(tmp_path / "own.py")
    assert main(["show", path.name, "--results", "mine"]) == 0
    text = capsys.readouterr().out
    assert "this file ran" not in text
    assert f"bench audit {path.name} --results mine --quick --allow-code" in text


@pytest.mark.parametrize("command", ["show", "audit", "pack", "export"])
def test_commands_that_read_records_send_files_to_import(command, original, tmp_path, capsys):
    archive = packed(original, tmp_path / "a.zip")
    capsys.readouterr()
    assert main([command, str(archive)]) == 2
    assert f"bench import {archive} [record-packed]" in capsys.readouterr().err


def write_audit(record):
    """A maker's own, of the best verdict."""
    document = {
        "format": 1, "run_id": record.name, "verdict": "believed", "n": 1, "size": "full", "checks": [], "flags": [],
    }  # fmt: skip
    (record / "audit.json").write_text(json.dumps(document | {"sha256": own_hash(document)}, indent=1) + "\n")


def test_an_audit_is_its_makers_word_and_stays_in_the_file(original, tmp_path, capsys):
    record, mine = shutil.copytree(original, tmp_path / "theirs" / original.name), tmp_path / "mine"
    write_audit(record)
    archive = packed(record, tmp_path / "a.zip")
    assert main(["import", str(archive), "--results", str(mine)]) == 0
    assert files(mine.joinpath(*original.parts[-3:])) == files(original)
    capsys.readouterr()
    assert main(["verify", str(archive)]) == 0
    assert "not checked: the audit that came with it: its maker's word (bench audit makes one here)" in " ".join(
        capsys.readouterr().out.split()
    )


def test_an_audit_that_was_unpacked_by_hand_is_no_verdict(original, tmp_path, capsys):
    record = shutil.copytree(original, tmp_path / "theirs" / original.name)
    write_audit(record)
    archive = packed(record, tmp_path / "a.zip")
    by_hand = tmp_path / "by" / "hand" / original.name
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(by_hand)
    assert (by_hand / "audit-of-maker.json").read_bytes() == (record / "audit.json").read_bytes()
    assert broken_seal(by_hand) == []
    assert main(["show", str(by_hand)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "; not audited (purebench run" in text
    assert packed(by_hand, tmp_path / "b.zip").read_bytes() == archive.read_bytes()
