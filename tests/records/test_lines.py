"""One schema of a line: what is written, what is read, and what is refused by both readers."""

import json
from pathlib import Path

import pytest
from records_for_tables import header
from refused import refused

from bench.figures.runs import read_run
from bench.records.lines import SampleRecord, checked_line, encoded, read_fields, read_lines

VALUES = {
    "id": 7, "label": 3, "clean": [3], "adversarial": [5], "margin": [-0.5], "distance": 0.03,
    "cost": {"classifier_forward": 2}, "seconds": 0.1, "environment": "e",
}  # fmt: skip
BASELINE = Path(__file__).parent.parent / "baseline"


def test_the_bytes_of_a_line():
    start = (
        b'{"id":7,"label":3,"clean":[3],"adversarial":[5],"margin":[-0.5],"distance":0.03,'
        b'"cost":{"classifier_forward":2},"seconds":0.1,"environment":"e","said":'
    )
    assert encoded(SampleRecord(**VALUES)) == start + b"{}}\n"
    more = SampleRecord(**VALUES, said={"claimed": True, "flags": ["é"]}, certified=0.0, memory=12)
    assert encoded(more) == start + '{"claimed":true,"flags":["é"]},"certified":0.0,"memory":12}\n'.encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1.0"),
        (1e-05, "0.00001"),
        (1.5e-7, "1.5e-7"),
        (1e-4, "0.0001"),
        (-0.0, "-0.0"),
        (1 / 3, "0.3333333333333333"),
    ],
)
def test_how_numbers_are_written(value, text):
    assert f'"distance":{text},'.encode() in encoded(checked_line(**VALUES | {"distance": value}))


def test_lines_of_before_are_written_as_they_are_read():
    for file in BASELINE.rglob("samples.jsonl"):
        assert b"".join(map(encoded, read_lines(file)[0])) == file.read_bytes()


@pytest.mark.parametrize("margin", [[float("nan")], [float("inf"), 1.0], []])
def test_what_could_not_be_read_again_is_not_written(margin):
    with pytest.raises(ValueError, match="margin"):
        encoded(SampleRecord(**VALUES | {"margin": margin}))


def test_fields_alone_are_those_of_the_lines():
    text = encoded(SampleRecord(**VALUES, certified=0.5)) + encoded(SampleRecord(**VALUES | {"id": 8}))
    first, second = read_fields(text, ["id", "cost", "certified", "said"], raw=["cost"])
    assert (first.id, bytes(first.cost), first.certified, first.said) == (7, b'{"classifier_forward":2}', 0.5, {})
    assert (second.id, second.certified) == (8, None)


@pytest.mark.parametrize(
    "damage",
    [
        {"said": {"flags": 5}}, {"said": {"flags": "abc"}}, {"said": {"flags": [1]}}, {"label": -1}, {"label": "3"},
        {"clean": []}, {"id": 2**63}, {"certified": -0.5}, {"cost": {"classifier_forward": -1}}, {"clean": [10**6]},
    ],
)  # fmt: skip
def test_a_damaged_line_is_named_by_both_readers(damage, tmp_path):
    path = tmp_path / "d" / "t" / "r"
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(header("r", "none")))
    (path / "samples.jsonl").write_text(
        "".join(json.dumps(VALUES | {"id": 1} | more) + "\n" for more in ({}, {"id": 2} | damage))
    )
    with refused("record-line-damaged", match="line 2"):
        read_lines(path / "samples.jsonl")
    with refused("record-line-damaged", match="line 2"):
        read_run(path)
