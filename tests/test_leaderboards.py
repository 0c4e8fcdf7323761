"""Records to rows: worst case per image, paired tests, Markdown and JSON."""

import json

import pytest

import leaderboards
from bench.errors import UserError
from bench.records import FORMAT, RecordWriter, SampleRecord
from bench.stats import holm, proportion
from leaderboards.rows import collect

KEYS = {
    "defense", "attack", "dataset", "threat", "n", "clean", "robust", "worst_case", "believed", "flags", "run_ids",
}  # fmt: skip


def line(sample, right):
    return SampleRecord(
        id=sample, label=1, clean=[1], adversarial=[right], margin=[0.0], distance=0.0, cost={}, seconds=0.0,
        environment="e",
    )  # fmt: skip


def header(run, defense, attack, threat="linf:8/255", gradient="full", **changes):
    spec = {
        "defense": {"name": defense, "args": {}}, "attack": {"name": attack, "args": {}, "gradient": gradient},
        "classifier": {"name": "cnn"}, "score_model": None, "dataset": {"name": "toy", "sha256": "aa"},
        "threat": threat, "draws": 1, "seed": 0,
    }  # fmt: skip
    labels = {"defense": defense, "attack": attack}
    values = {"format": FORMAT, "run_id": run, "spec": spec, "labels": labels, "checks": {}, "environments": {"e": {}}}
    return values | changes


def record(results, header, hits, *, seal=True):
    """A record on disk whose image k is right under attack if `hits[k]` is "1"."""
    folder = results / "toy" / header["spec"]["threat"].replace(":", "-").replace("/", "-") / header["run_id"]
    with RecordWriter(folder, header) as writer:
        writer.append(0, [line(sample, int(hit)) for sample, hit in enumerate(hits)], None)
        if seal:
            writer.seal()


@pytest.fixture
def results(tmp_path):
    """`strong` under two attacks that break different images, `weak` and `weaker` under one."""
    record(tmp_path, header("a1", "strong", "pgd"), "111111110")
    record(tmp_path, header("a2", "strong", "transfer", gradient="bpda"), "011111111")
    record(tmp_path, header("b1", "weak", "pgd", checks={"gradient_error": 0.3}), "000000011")
    record(tmp_path, header("c1", "weaker", "pgd", checks={"gradient_error": 1e-8}), "000000010", seal=False)
    return tmp_path


def board(results, **options):
    (only,) = collect(results, **{"dataset": None, "threat": None, "against": None} | options)
    return only


def test_the_worst_case_is_taken_for_each_image(results):
    strong = board(results).rows[0]
    assert strong.robust == proportion(8, 9)
    assert strong.worst_case == proportion(7, 9)
    assert strong.clean == proportion(9, 9)


def test_the_worst_case_is_over_the_images_that_all_attacks_have(results):
    record(results, header("a3", "strong", "square"), "0011")
    rows = [row for row in board(results).rows if row.defense == "strong"]
    assert {(row.worst_case.successes, row.worst_case.n) for row in rows} == {(2, 4)}
    assert [row.n for row in rows] == [4, 9, 9]


def test_rows_are_ranked_by_the_worst_case_then_by_attack(results):
    rows = [(row.defense, row.attack, row.run_ids) for row in board(results).rows]
    assert rows == [
        ("strong", "pgd", ["a1", "a2"]), ("strong", "transfer", ["a2", "a1"]),
        ("weak", "pgd", ["b1"]), ("weaker", "pgd", ["c1"]),
    ]  # fmt: skip


def test_flags(results):
    assert {row.run_ids[0]: row.flags for row in board(results).rows} == {
        "a1": ["small n"],
        "a2": ["small n", "inexact gradient mode"],
        "b1": ["small n", "gradient not exact"],
        "c1": ["partial", "small n"],
    }


def test_paired_p_against_the_first_row_with_holm(results):
    """strong stands on images 1..7; weak on 7 and 8, six against one of seven; weaker on 7, six against none."""
    weak, weaker = 2 * (1 + 7) / 2**7, 2 / 2**6
    p = {row.run_ids[0]: row.paired_p for row in board(results).rows}
    assert (p["a1"], p["a2"]) == (None, None)
    assert [p["b1"], p["c1"]] == pytest.approx(holm([weak, weaker]))
    assert [p["b1"], p["c1"]] == pytest.approx([0.125, 0.0625])


def test_paired_p_against_another_defense(results):
    table = board(results, against="weak")
    p = {row.run_ids[0]: row.paired_p for row in table.rows}
    assert table.reference == "weak"
    assert p == {"a1": pytest.approx(0.25), "a2": pytest.approx(0.25), "b1": None, "c1": 1.0}


def test_against_nobody(results):
    with pytest.raises(
        UserError, match=r"--against to name a defense of the table \(strong, weak, weaker\), got 'x'; copy"
    ):
        board(results, against="x")


@pytest.mark.parametrize("wanted", [{"dataset": "other"}, {"threat": "l2:1"}])
def test_nothing_fits(results, wanted):
    with pytest.raises(UserError, match=r"expected finished runs below .*, got none that fit; make one: bench run"):
        board(results, **wanted)


def test_runs_without_images_are_left_out(tmp_path):
    RecordWriter(tmp_path / "toy" / "linf-8-255" / "a1", header("a1", "strong", "pgd")).__exit__()
    with pytest.raises(UserError, match="got none that fit"):
        board(tmp_path)


def test_a_board_for_each_threat(results):
    record(results, header("d1", "strong", "pgd", threat="l2:0.5"), "01")
    text = leaderboards.render(results, "md")
    assert text.index("### toy, l2:0.5") < text.index("### toy, linf:8/255")
    assert len(json.loads(leaderboards.render(results, "json", threat="l2:0.5"))) == 1


def test_json(results):
    rows = json.loads(leaderboards.render(results, "json"))
    assert all(row.keys() >= KEYS for row in rows)
    assert rows[2]["robust"] == proportion(2, 9).as_dict()
    assert {key: rows[2][key] for key in ("defense", "attack", "dataset", "threat", "n", "believed", "run_ids")} == {
        "defense": "weak", "attack": "pgd", "dataset": "toy", "threat": "linf:8/255", "n": 9, "believed": None,
        "run_ids": ["b1"],
    }  # fmt: skip


def test_markdown(results):
    lines = leaderboards.render(results, "md").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert lines[0] == "### toy, linf:8/255"
    assert cells[0] == ["defense", "attack", "n", "clean %", "robust %", "worst case %", "p", "flags", "run"]
    assert cells[2][:3] == ["strong", "pgd", "9"]
    assert cells[2][3:] == [
        "100.0 [66.4, 100.0]", "88.9 [56.5, 98.0]", "77.8 [45.3, 93.7]", "", "small n", "`a1`",
    ]  # fmt: skip
    assert [row[6] for row in cells[2:]] == ["", "", ".125", ".062"]
    assert "against **strong** on the same images, Holm-corrected" in lines[-1]


def test_a_tiny_p_is_not_printed_as_zero(tmp_path):
    record(tmp_path, header("a1", "strong", "pgd"), "1" * 20)
    record(tmp_path, header("b1", "weak", "pgd"), "0" * 20)
    record(tmp_path, header("c1", "twin", "pgd"), "1" * 20)
    p = {row.defense: row.paired_p for row in board(tmp_path).rows}
    assert (p["strong"], p["twin"], p["weak"]) == (None, 1.0, pytest.approx(2 * 2 / 2**20))
    assert "<.001" in leaderboards.render(tmp_path, "md")
