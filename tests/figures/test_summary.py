"""Every figure of a run follows from its lines."""

from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from records_for_tables import header

from bench.figures.summary import CLEAN, hits, shares, summarise
from bench.records.header import Header
from bench.records.lines import SampleRecord
from bench.records.record import Record
from bench.stats.intervals import proportion

COUNTS = {"classifier_forward": 3, "score_hvp": 1}
LINES = [
    # label, clean predictions, adversarial predictions: four draws each
    (0, [0, 0, 0, 0], [0, 0, 0, 0]),
    (1, [1, 1, 1, 1], [1, 1, 1, 2]),
    (2, [2, 2, 2, 0], [2, 0, 1, 1]),
    (3, [3, 0, 0, 0], [0, 0, 0, 0]),
]


def sample(number, label, clean, adversarial):
    return SampleRecord(
        id=number, label=label, clean=clean, adversarial=adversarial, margin=[0.0] * len(clean), distance=0.1,
        cost=COUNTS, seconds=0.25, environment="late" if number == 3 else "early",
    )  # fmt: skip


SPEC = header("abc", "d")["spec"]


@pytest.fixture
def lines():
    return [sample(number, *values) for number, values in enumerate(LINES)]


def record(lines, *, sealed=True):
    environments = {"early": {"device": "cpu"}, "late": {"device": "cuda"}}
    made = header("abc", "d", checks={"deterministic": False}, environments=environments)
    return Record(Path("results/a/b/abc"), Header.of(made), lines, sealed)


def test_hits_and_shares(lines):
    assert hits(lines).tolist()[1:3] == [[True, True, True, False], [True, False, False, False]]
    assert shares(lines).tolist() == [1, 0.75, 0.25, 0]
    assert shares(lines, CLEAN).tolist() == [1, 1, 0.75, 0.25]


def test_rules_over_draws(lines):
    assert summarise(record(lines), lines)["draws"] == {
        "k": 4, "mean": 0.5, "worst": 0.25, "majority": 0.5, "null_mean": 0.75, "null_worst": 0.5, "null_majority": 0.75,
    }  # fmt: skip


def test_the_document(lines):
    document = summarise(record(lines), lines)
    assert {key: document[key] for key in ("run_id", "path", "status", "n", "spec", "cost", "environment")} == {
        "run_id": "abc", "path": "results/a/b/abc", "status": "complete", "n": 4, "spec": SPEC,
        "cost": {"seconds": 1.0, "classifier_forward": 12, "score_hvp": 4},
        "environment": {"device": "cuda"},
    }  # fmt: skip
    assert document["checks"].pop("deterministic") is False
    assert [claim["check"] for claim in document["checks"].pop("claims")] == ["ball and box", "above chance"]
    assert document["checks"] == {}
    assert document["robust_accuracy"]["method"] == "bootstrap"
    assert (document["robust_accuracy"]["value"], document["robust_accuracy"]["successes"]) == (0.5, 2)
    assert document["clean_accuracy"]["value"] == 0.75


def test_one_draw_gives_proportions():
    lines = [sample(k, 1, [1], [int(k < 1)]) for k in range(3)]
    document = summarise(record(lines), lines)
    assert document["clean_accuracy"] == proportion(3, 3).as_dict()
    assert document["robust_accuracy"] == proportion(1, 3).as_dict()
    assert {document["draws"][rule] for rule in ("mean", "worst", "majority")} == {1 / 3}
    assert {document["draws"]["null_" + rule] for rule in ("mean", "worst", "majority")} == {1}


def test_the_null_attack_changes_no_figure(lines):
    same = [structs.replace(line, adversarial=line.clean) for line in lines]
    document = summarise(record(same), same)
    assert document["clean_accuracy"] == document["robust_accuracy"]
    for rule in ("mean", "worst", "majority"):
        assert document["draws"][rule] == document["draws"]["null_" + rule]


@pytest.mark.parametrize(
    ("asked", "sealed", "status"),
    [(None, True, "complete"), (None, False, "partial"), (4, False, "complete"), (5, True, "partial")],
)
def test_status(lines, asked, sealed, status):
    assert summarise(record(lines, sealed=sealed), lines, asked)["status"] == status


def test_a_vote_is_right_only_with_most_of_the_draws():
    lines = [sample(0, 2, [2, 2, 1], [1, 2, 1])]
    draws = summarise(record(lines), lines)["draws"]
    assert (draws["majority"], draws["null_majority"]) == (0, 1)
    assert np.isclose(draws["mean"], 1 / 3)


def test_remarks_are_counted_and_numbers_ranged(lines):
    """Three images say who broke them, two how often; None says nothing, and what has a figure of its own is no remark."""
    told = [
        {"fallen_to": "square", "tries": 3, "claimed": True}, {"fallen_to": "apgd", "tries": 12}, {"fallen_to": "square"}, {"fallen_to": None},
    ]  # fmt: skip
    said = [structs.replace(line, said=words) for line, words in zip(lines, told, strict=True)]
    document = summarise(record(said), said)
    assert document["remarks"] == {"fallen_to": {"square": 2, "apgd": 1}, "tries": {"3 to 12": 2}}
    assert "remarks" not in summarise(record(lines), lines)
