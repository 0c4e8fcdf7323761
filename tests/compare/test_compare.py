"""What a reviewer reads of two runs: the board's intervals, parts by their names, images by their numbers, one run claimed twice."""

import json

import pytest
from records_for_tables import header, record

from bench.cli.main import main
from bench.records.spec import RunSpec, brief_differences

HERE = {"torch": "2", "device": "cpu", "instructions": "avx2", "batch_size": 50}
RIGHT = "1" * 16 + "0" * 9


def compared(capsys, *words):
    """What `bench compare` prints, as text, and of one comparison as JSON."""
    capsys.readouterr()
    assert main(["compare", *map(str, words)]) == 0
    text = capsys.readouterr().out
    assert main(["compare", *map(str, words), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    return text, found


def shown(capsys, run, results):
    capsys.readouterr()
    assert main(["show", run, "--results", str(results), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def results(tmp_path):
    """16 of 25 images right under attack and 24 clean, against 1 and 25."""
    record(tmp_path, header("a0", "best"), RIGHT, clean="0" + "1" * 24)
    record(tmp_path, header("b0", "none"), "0" * 24 + "1")
    return tmp_path


def test_intervals_are_those_of_show(results, capsys):
    """Wilson's, and at 25 of 25 Clopper and Pearson's."""
    _, found = compared(capsys, "a0", "b0", "--results", results)
    for run, side in (("a0", "before"), ("b0", "after")):
        told = shown(capsys, run, results)
        assert [change[side] for change in found["changes"]] == [told["clean_accuracy"], told["robust_accuracy"]]
    assert {change["before"]["method"] for change in found["changes"]} == {"wilson"}


def test_a_part_of_another_name_is_told_by_its_name(results, capsys):
    text, found = compared(capsys, "a0", "b0", "--results", results)
    assert found["differ"] == ["defense best -> none", "score model unet -> none"]
    assert "B b0  differs in: defense best -> none; score model unet -> none\n" in text


@pytest.mark.parametrize(
    ("change", "phrases"),
    [
        ({}, []),
        ({"draws": 2}, ["draws 1 -> 2"]),
        ({"defense": {"name": "best", "args": {"rho": 0.1, "steps": 9}}}, ["defense steps 4 -> 9"]),
        ({"classifier": {"name": "cnn", "args": {}, "sha256": "0123456789"}}, ["classifier content None -> 01234567"]),
        ({"classifier": {"name": "other", "args": {"width": 3}, "sha256": "01"}}, ["classifier cnn -> other"]),
        ({"dataset": {"name": "else", "sha256": "bb"}, "seed": 1}, ["data set toy -> else", "seed 0 -> 1"]),
    ],
)
def test_arguments_and_hashes_are_told_where_the_names_are_the_same(change, phrases):
    spec = header("a0", "best")["spec"]
    assert brief_differences(RunSpec.model_validate(spec), RunSpec.model_validate(spec | change)) == phrases


def test_images_that_changed_sides_are_apart_counted_and_sorted(tmp_path, capsys):
    order = [*range(24, 12, -1), *range(13)]
    for run, hits, clean in (("a0", "1" * 25, "1" * 25), ("b0", "0" * 12 + "1" * 13, "1" * 24 + "0")):
        path = record(tmp_path, header(run, "best"), hits, clean=clean)
        lines = [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]
        (path / "samples.jsonl").write_text("".join(json.dumps(lines[place]) + "\n" for place in order))
    text, _ = compared(capsys, "a0", "b0", "--results", tmp_path)
    clean, adversarial = text.split("\n\n")[-2:]
    assert clean.splitlines() == ["clean images that changed sides: 1", "  image  class  A  B", "  24     1      1  0"]
    head, columns, *lines, more = adversarial.splitlines()
    assert head == "adversarial images that changed sides: 12"
    assert columns == "  image  class  A  B  margin in A"
    assert lines == [f"  {image:<5}  1      1  0  0" for image in range(10)]
    assert more == "  and 2 more, with --json"


@pytest.mark.parametrize(
    ("draws", "cells"), [(10, "1 1 1 1 1 1 1 1 1 1  1 1 1 0"), (30, "30 of 30 right  3 of 30 right")]
)
def test_lines_fit_whatever_the_number_of_draws(draws, cells, tmp_path, capsys):
    for run, defense, right in (("a0", "a-defense-of-a-long-name", draws), ("b0", "b" * 30, 3)):
        path = record(tmp_path, header(run, defense, draws=draws), "00")
        lines = [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]
        lines[1] |= {"adversarial": [1] * right + [0] * (draws - right)}
        (path / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text, _ = compared(capsys, "a0", "b0", "--results", tmp_path)
    assert f"  1      1      {cells}" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("there", "meaning"),
    [
        (HERE, "at least one was changed; bench verify"),
        (
            HERE | {"device": "cuda"},
            "at least one was changed, unless it is rounding: their environments differ; bench verify",
        ),
    ],
)
def test_two_records_that_claim_to_be_one_run(there, meaning, tmp_path, capsys):
    mine = record(tmp_path / "mine", header("a0", "best", environments={"e": HERE}), RIGHT)
    theirs = record(tmp_path / "theirs", header("a0", "best", environments={"e": there}), "1" * 25)
    text, found = compared(capsys, mine, theirs)
    assert found["conflict"].startswith(f"both have the id a0, and their predictions differ on 9 images: {meaning}")
    assert "B a0  claims to be the same run\n" in text
    assert found["conflict"] in " ".join(text.split())
    assert compared(capsys, tmp_path / "mine", tmp_path / "theirs") == (text, found)


def test_more_images_of_the_same_run_are_no_conflict(tmp_path, capsys):
    mine = record(tmp_path / "mine", header("a0", "best"), RIGHT[:20])
    theirs = record(tmp_path / "theirs", header("a0", "best"), RIGHT)
    text, found = compared(capsys, mine, theirs)
    assert (found["n"], found["conflict"]) == (20, "")
    assert "changed sides" not in text
