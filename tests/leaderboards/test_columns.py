"""A run as arrays is the record line by line."""

import json

import numpy as np
import pytest
from refused import refused

from bench.figures.runs import read_run, read_runs, same_environment
from bench.records.copy import copy_record
from bench.records.header import FORMAT, Environment
from bench.records.lines import SampleRecord
from bench.records.writer import RecordWriter

SPEC = {
    "defense": {"name": "none"}, "attack": {"name": "null"}, "classifier": {"name": "cnn"}, "score_model": None,
    "dataset": {"name": "fashion-mnist"}, "threat": "linf:8/255", "draws": 2, "seed": 0,
}  # fmt: skip
HEADER = {
    "format": FORMAT, "run_id": "abc123", "spec": SPEC, "labels": {"defense": "none", "attack": "null"}, "checks": {},
    "environments": {},
}  # fmt: skip


def line(sample, **changes):
    values = {
        "id": sample, "label": 1, "clean": [1, 2], "adversarial": [0, 1], "margin": [0.5, -0.5], "distance": 0.1,
        "cost": {"score_forward": sample}, "seconds": 0.1, "environment": "e",
    }  # fmt: skip
    return SampleRecord(**(values | changes))


def write(folder, lines, *, seal=True):
    with RecordWriter(folder, HEADER) as writer:
        writer.append(0, lines, None)
        if seal:
            writer.seal()


def test_columns_are_the_lines(tmp_path):
    folder = tmp_path / "a" / "b" / "c"
    write(
        folder, [line(4), line(2, said={"flags": ["odd"], "claimed": True}), line(7, said={"flags": ["odd", "even"]})]
    )
    (folder / "audit.json").write_text('{"verdict": true}')
    (run,) = read_runs(tmp_path)
    assert (run.ids.tolist(), run.labels.tolist(), run.sealed, len(run)) == ([4, 2, 7], [1, 1, 1], True, 3)
    assert (run.clean.tolist(), run.adversarial.tolist()) == ([[1, 2]] * 3, [[0, 1]] * 3)
    assert run.cost["score_forward"].tolist() == [4, 2, 7]
    assert run.flags == {"even": 1, "odd": 2}
    assert run.audit == {"verdict": True}
    assert (run.shares("clean").tolist(), run.hits().tolist()) == ([0.5] * 3, [[False, True]] * 3)
    assert run.row_of == {4: 0, 2: 1, 7: 2}
    assert [part.margin for part in run.lines] == [[0.5, -0.5]] * 3


def test_a_torn_last_line_is_left_out(tmp_path):
    write(tmp_path, [line(1), line(2)], seal=False)
    file = tmp_path / "samples.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    assert read_run(tmp_path).ids.tolist() == [1]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text.replace('"label":1', '"label":"one"', 1), "record-line-damaged"),
        (lambda text: text.replace('"score_forward":2', '"score_forward":"many"'), "record-line-damaged"),
        (lambda text: text + text.splitlines()[0] + "\n", "record-id-repeated"),
    ],
)
def test_damage_is_named_as_by_the_slow_reader(tmp_path, change, code):
    write(tmp_path, [line(1), line(2)])
    file = tmp_path / "samples.jsonl"
    file.write_text(change(file.read_text()))
    with refused(code):
        read_run(tmp_path)


def test_lines_that_differ_in_draws_are_refused(tmp_path):
    write(tmp_path, [line(1), line(2, clean=[1])])
    with refused("record-draws-differ", match=r"\[1, 2\]"):
        read_run(tmp_path)


def test_costs_of_another_kind_count_as_zero(tmp_path):
    write(tmp_path, [line(1), line(2, cost={"score_hvp": 5}), line(3, cost={"score_forward": 1, "score_hvp": 1})])
    cost = read_run(tmp_path).cost
    assert (cost["score_forward"].tolist(), cost["score_hvp"].tolist()) == ([1, 0, 1], [0, 5, 1])


def test_a_damaged_audit_is_named(tmp_path):
    write(tmp_path, [line(1)])
    (tmp_path / "audit.json").write_text("{")
    with refused("document-damaged"):
        read_run(tmp_path)


def test_an_empty_record_has_no_images(tmp_path):
    with RecordWriter(tmp_path / "a" / "b" / "c", HEADER):
        pass
    assert len(read_run(tmp_path / "a" / "b" / "c")) == 0
    assert list(read_runs(tmp_path)) == []


def test_environments_that_compute_the_same_bits():
    here = {"torch": "2.9", "device": "cpu", "instructions": "AVX2", "batch_size": 16, "git": "a"}

    def same(*changes):
        return same_environment(*(Environment(**{**here, **change}) for change in changes))

    assert same({}, {"git": "b"})
    assert not same({}, {"batch_size": 8})
    old = {"instructions": None}
    assert not same(old, old)
    assert same({}, {}, {"git": "b"})
    assert not same({}, {}, {"torch": "2.8"})
    assert not same_environment(Environment(**here), Environment())
    assert not same_environment(Environment(), Environment(**here))


def test_a_copied_record_replaces_another(tmp_path):
    source = tmp_path / "one" / "data" / "linf" / "abc"
    write(source, [line(1)])
    old = tmp_path / "two" / "data" / "linf" / "old"
    write(old, [line(2)])
    target = copy_record(source, tmp_path / "two", replacing=old)
    assert target == tmp_path / "two" / "data" / "linf" / "abc"
    assert not old.exists()
    assert {file.name: file.read_bytes() for file in target.iterdir()} == {
        file.name: file.read_bytes() for file in source.iterdir()
    }
    assert json.loads((target / "run.json").read_text()) == HEADER
    assert np.array_equal(read_run(target).ids, [1])
