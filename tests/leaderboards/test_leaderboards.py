"""Records to boards: classes of attacks, worst case per image, ranks with ties, deltas, cost, and every format."""

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from records_for_tables import full_set, header, line, record
from refused import refused

import leaderboards
from bench.cli.main import main
from bench.records.spec import RunSpec
from bench.records.writer import RecordWriter
from bench.stats.intervals import mean_difference, mean_share, proportion
from bench.stats.paired import holm
from leaderboards.boards import collect
from leaderboards.classes import attack_class, caveats, required_of
from leaderboards.columns import believed_text
from leaderboards.entries import row_verdict
from leaderboards.papers import make as papers

KEYS = {
    "defense", "attack", "dataset", "threat", "n", "clean", "robust", "worst_case", "believed", "flags", "run_ids",
}  # fmt: skip
LONG = 40


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Boards of a handful of images, which nobody would rank: what is tested here does not depend on their number."""
    monkeypatch.setattr(leaderboards.assembly, "FEW", 1)


@pytest.fixture
def results(tmp_path):
    """`strong` under two attacks that break different images, `weak` and `weaker` under one."""
    record(tmp_path, header("a1", "strong", "pgd-full"), "111111110")
    record(tmp_path, header("a2", "strong", "pgd-bpda", gradient="bpda"), "011111111")
    record(tmp_path, header("b1", "weak", checks={"gradient_error": 0.3}), "000000011")
    record(tmp_path, header("c1", "weaker", checks={"gradient_error": 1e-8}), "000000010", seal=False)
    return tmp_path


def board(results, **options):
    (only,) = collect(results, **options)
    return only


def spec_of(defense="d", **changes):
    return RunSpec.model_validate(header("r", defense)["spec"] | changes)


@pytest.mark.parametrize(
    ("name", "gradient", "more", "kind"),
    [
        ("pgd-full", "full", {}, "full gradient"), ("pgd-bpda", "bpda", {}, "BPDA"), ("pgd-blind", "blind", {}, "transfer"),
        ("transfer:cnn", "full", {}, "transfer"), ("autoattack", "full", {"package": "pyautoattack 0.2"}, "AutoAttack"),
        ("autoattack-fast", "full", {}, "AutoAttack"), ("square", "none", {}, "black box"), ("null", "none", {}, "null"),
        ("random", "none", {}, "other"), ("pgd-known", "full", {"knowledge": "known"}, "known draws"),
        ("fgsm", "full", {"args": {"steps": 1}}, "other"), ("torchattacks:PGD", "full", {"package": "torchattacks 3"}, "other"),
    ],
)  # fmt: skip
def test_classes_of_attacks(name, gradient, more, kind):
    assert attack_class(spec_of(attack={"name": name, "gradient": gradient, "args": {}} | more)) == kind


def test_what_a_row_needs():
    spec = spec_of("none")
    assert required_of(spec, ("full gradient", "transfer"), differentiable=True) == ("full gradient",)
    spec = spec_of("median")
    assert required_of(spec, ("full gradient", "transfer"), differentiable=False) == ("BPDA", "transfer")


def test_the_worst_case_is_taken_for_each_image(results):
    strong = board(results).incomplete[0]
    assert [part.robust for part in strong.runs] == [proportion(8, 9)] * 2
    assert strong.under == {"full gradient": proportion(8, 9), "BPDA": proportion(8, 9)}
    assert (strong.worst_case, strong.clean, strong.n) == (proportion(7, 9), proportion(9, 9), 9)


def test_a_row_has_the_images_that_all_required_attacks_have(results):
    record(results, header("a3", "strong", "square", gradient="none"), "0011")
    row = next(row for row in board(results).incomplete if row.defense == "strong")
    assert (row.worst_case.successes, row.worst_case.n, row.clean.n) == (2, 4, 4)
    assert [part.n for part in row.runs] == [4, 9, 9]
    assert "some attacks on fewer images" not in row.flags


def test_an_attack_on_fewer_images_than_the_required_ones_enters_no_other_figure(results):
    """Square breaks images 0 and 1 of four, and image 0 is broken anyway: on nine images it would leave 6 of 9, on four 2."""
    record(results, header("a3", "strong", "square", gradient="none"), "0011")
    row = next(row for row in board(results, required=["full gradient"]).rows if row.defense == "strong")
    assert (row.worst_case, row.n) == (proportion(7, 9), 9)
    assert "black box" not in row.under
    assert row.elsewhere["black box"].as_dict() == {**proportion(2, 4).as_dict(), "draws": 1}
    assert row.flags[0] == "square on 4 images only"
    assert row.counted == ["a1", "a2"]
    whole = leaderboards.render(results, "md", required=["full gradient"])
    assert "square on 4 images only" in whole


def test_a_cell_of_other_images_says_so(results):
    """In a column of a required class: the row lacks black box on the images of its full gradient, since its gradients fail."""
    record(results, header("a3", "strong", "square", gradient="none"), "0011")
    made = results / "table.toml"
    made.write_text('require = ["full gradient"]\n[[columns]]\ntitle = "Square"\nclass = "black box"\n')
    text, _ = papers.make(str(made), results=results, output="md")
    (cell,) = [row[1] for row in cells(text, "### toy")[2:] if row[0].startswith("strong")]
    assert cell == "50.0 ± 35.0 (n = 4)"


def test_runs_that_share_no_images_are_not_mixed(tmp_path):
    record(tmp_path, header("a1", "strong"), "1110")
    with RecordWriter(
        tmp_path / "toy" / "linf-8-255" / "a2", header("a2", "strong", "square", gradient="none")
    ) as writer:
        writer.append(0, [line(k, True) for k in range(10, 13)], None)
    (row,) = board(tmp_path).incomplete
    assert (row.worst_case, row.n) == (proportion(3, 4), 4)
    assert "runs share no images" in row.flags


def test_rows_that_lack_an_attack_are_apart_with_what_completes_them(results):
    full_set(results, "d", "ready", "111100000")
    table = board(results)
    assert [row.defense for row in table.rows] == ["ready"]
    assert [(row.defense, row.rank) for row in table.incomplete] == [("strong", None), ("weak", None), ("weaker", None)]
    weak = table.incomplete[1]
    assert weak.missing == [
        "full gradient",
        "AutoAttack",
        "black box",
        "transfer",
    ]  # its gradient is not exact, which no run mends
    assert weak.commands[0] == (
        f"bench run --defense weak --attack autoattack --dataset toy --threat linf:8/255 -n 9 --classifier cnn --score-model unet --results {results}"
    )
    assert [command.split()[5] for command in weak.commands] == ["autoattack", "square", "pgd-blind"]
    assert [row.defense for row in board(results, required=["full gradient"]).rows] == [
        "strong",
        "ready",
        "weaker",
    ]


def test_the_undefended_classifier_needs_no_transfer_and_is_what_others_are_compared_with(tmp_path):
    full_set(tmp_path, "d", "ready", "111100000")
    for place, (attack, gradient) in enumerate([("pgd-full", "full"), ("autoattack", "full"), ("square", "none")]):
        record(tmp_path, header(f"n{place}", "none", attack, gradient=gradient), "100000000")
    table = board(tmp_path)
    ready = next(row for row in table.rows if row.defense == "ready")
    undefended = next(row for row in table.rows if row.defense == "none")
    assert undefended.delta_undefended is None
    assert ready.delta_undefended == mean_difference(np.array([1.0] * 4 + [0] * 5), np.array([1.0] + [0] * 8))
    assert ready.delta_null == mean_difference(np.array([1.0] * 4 + [0] * 5), np.ones(9))


def test_a_rank_is_the_position_by_the_estimate_and_tests_say_which_ranks_are_open(tmp_path):
    full_set(tmp_path, "a", "best", "1" * LONG)
    full_set(tmp_path, "b", "near", "1" * (LONG - 2) + "00")
    full_set(tmp_path, "e", "too", "00" + "1" * (LONG - 2))
    full_set(tmp_path, "c", "low", "1" * 10 + "0" * (LONG - 10))
    full_set(tmp_path, "d", "lowest", "0" * LONG)
    assert [(row.defense, row.rank, row.rank_low, row.rank_high) for row in board(tmp_path).rows] == [
        ("best", 1, 1, 3),
        ("near", 2, 1, 3),
        ("too", 2, 1, 3),
        ("low", 4, 4, 4),
        ("lowest", 5, 5, 5),
    ]


def test_a_row_of_few_images_does_not_rank_above_a_better_one(tmp_path):
    """Image for image `few` equals `many`, whose later images are easier: no test tells them apart, yet 50 stands below 75."""
    full_set(tmp_path, "a", "many", "10" * 20 + "1" * 40)
    full_set(tmp_path, "b", "few", "10" * 20)
    full_set(tmp_path, "c", "middle", "10" * 20 + "1" * 20 + "0" * 20)
    rows = board(tmp_path).rows
    assert [(row.defense, row.n, row.rank) for row in rows] == [("many", 80, 1), ("few", 40, 2), ("middle", 80, 2)]
    assert [(row.rank_low, row.rank_high) for row in rows] == [(1, 2), (1, 3), (2, 3)]


def test_the_ranks_that_tests_leave_open_hold_the_position(tmp_path):
    """`few` beats `many` on the 40 images of both, where 30 speak for it and 8 against it; `many` is above by its other 160."""
    full_set(tmp_path, "a", "many", "0" * 30 + "1" * 170)
    full_set(tmp_path, "b", "few", "1" * 32 + "0" * 8)
    rows = board(tmp_path).rows
    assert [(row.defense, row.rank, row.rank_low, row.rank_high) for row in rows] == [
        ("many", 1, 1, 2),
        ("few", 2, 1, 2),
    ]


def test_paired_p_against_the_named_row_with_holm(results):
    """strong stands on images 1..7; weak on 7 and 8, six against one of seven; weaker on 7, six against none."""
    weak, weaker = 2 * (1 + 7) / 2**7, 2 / 2**6
    table = board(results, against="strong")
    p = {row.defense: row.paired_p for row in table.incomplete}
    assert (table.reference, p["strong"]) == ("strong", None)
    assert [p["weak"], p["weaker"]] == pytest.approx(holm([weak, weaker]))
    assert [p["weak"], p["weaker"]] == pytest.approx([0.125, 0.0625])


def test_nobody_is_the_reference_of_a_board_without_ranks(results):
    table = board(results)
    assert table.reference is None
    assert {row.paired_p for row in table.incomplete} == {None}


def test_stochastic_rows_have_means_over_draws_known_draws_and_eot(tmp_path):
    full_set(tmp_path, "a", "noisy", "4" * 10 + "2" * 10 + "0" * 10, draws=4)
    known = header("k", "noisy", "pgd-known", draws=4)
    known["spec"]["attack"]["knowledge"] = "known"
    record(tmp_path, known, "4" * 10 + "0" * 20)
    one = header("k1", "noisy", "dw-box-2024", draws=1)
    one["spec"]["attack"]["knowledge"] = "known"
    record(tmp_path, one, "0" * 30)
    eot = header("e", "noisy", "pgd-eot", draws=4)
    eot["spec"]["attack"]["args"] = {"eot": 20}
    record(tmp_path, eot, "3" * 10 + "2" * 10 + "1" * 10)
    (row,) = board(tmp_path).rows
    assert row.under["full gradient"] == mean_share(np.repeat([0.75, 0.5, 0.0], 10))
    assert row.worst_case == mean_share(
        np.repeat([0.75, 0, 0], 10)
    )  # the one scored draw of the protocol is another rule
    assert row.under["known draws"] == mean_share(np.repeat([1.0, 0, 0], 10))
    assert row.flags[0] == "dw-box-2024 at 1 draw only"
    assert row.eot == mean_share(np.repeat([0.75, 0.5, 0.0], 10))
    assert (row.deterministic, row.draws) == (False, 4)


def test_known_draws_fill_the_full_gradient_if_they_are_the_scored_ones(tmp_path):
    for run, draws in (("a", 4), ("b", 1)):
        known = header(run, "noisy", "pgd-known", draws=draws)
        known["spec"]["attack"]["knowledge"] = "known"
        record(tmp_path / run, known, "1" * 10)
        record(tmp_path / run, header(f"{run}2", "noisy", "square", gradient="none", draws=4), "2" * 10)
        (row,) = board(tmp_path / run).incomplete
        assert row.missing == (
            ["AutoAttack", "transfer"] if draws == 4 else ["full gradient", "AutoAttack", "transfer"]
        )
        assert "full gradient" not in row.under


def test_seeds_are_averaged_and_their_spread_is_told(tmp_path):
    full_set(tmp_path, "a", "strong", "1100")
    full_set(tmp_path, "b", "strong", "1011", seed=1)
    record(tmp_path, header("c", "strong", seed=2), "0000")  # lacks attacks: it does not count
    (row,) = board(tmp_path).rows
    assert row.seeds == [0, 1]
    assert row.worst_case.value == pytest.approx(5 / 8)
    assert row.worst_seed == proportion(1, 4)
    assert row.spread == pytest.approx(np.std([0.5, 0.75], ddof=1))


def test_cost_is_that_of_one_purification(tmp_path):
    """Lines without a gradient took two purifications, 8 passes through the score model; a line with gradients tells nothing."""
    record(tmp_path, header("a", "strong"), "11")
    record(
        tmp_path,
        header("b", "strong", "pgd-bpda", gradient="bpda"),
        "11",
        cost={"classifier_forward": 9, "classifier_backward": 5, "score_forward": 90},
    )
    record(
        tmp_path,
        header("c", "dear"),
        "11",
        cost={"classifier_forward": 9, "classifier_backward": 5, "score_forward": 90},
    )
    passes = {row.defense: (row.passes, [part.passes for part in row.runs]) for row in board(tmp_path).incomplete}
    assert passes["strong"] == (4.0, [90.0, 8.0]) or passes["strong"] == (4.0, [8.0, 90.0])
    assert passes["dear"][0] is None


def test_flags_and_what_audits_say(results):
    folder = record(results, header("d1", "noted", "autoattack-fast"), "11", said={"flags": ["zero gradient"]})
    (folder / "audit.json").write_text(json.dumps({"verdict": False, "flags": ["masked"]}))
    rows = {row.defense: row for row in board(results).incomplete}
    assert {part.run_id: part.flags for row in rows.values() for part in row.runs} == {
        "a1": ["small n"], "a2": ["small n", "inexact gradient mode"], "b1": ["small n", "gradient not exact"],
        "c1": ["partial", "small n"], "d1": ["small n", "AutoAttack without FAB", "zero gradient (2 images)", "masked"],
    }  # fmt: skip
    assert rows["strong"].flags == ["small n"]  # the exact gradient stands beside the inexact one
    assert {name: row.believed for name, row in rows.items()} == {
        "strong": None,
        "weak": None,
        "weaker": None,
        "noted": False,
    }


@pytest.mark.parametrize(
    ("verdict", "believed", "text"),
    [
        (True, True, "yes"), ("believed", True, "yes"), ("doubtful", False, "suspect"), ("suspect", False, "suspect"),
        ("refuted", False, "refuted"), ("unchecked", None, "unchecked"),
    ],
)  # fmt: skip
def test_verdicts_in_words(verdict, believed, text, tmp_path):
    folder = record(tmp_path, header("a1", "strong"), "11")
    (folder / "audit.json").write_text(json.dumps({"verdict": verdict}))
    row = board(tmp_path).incomplete[0]
    assert row.believed is believed
    assert believed_text(row.verdict) == text
    assert all(text in leaderboards.render(tmp_path, form) for form in ("md", "latex", "csv"))
    (document,) = json.loads(leaderboards.render(tmp_path, "json"))
    assert (document["believed"], document["verdict"] or "unchecked") == (believed, row.verdict or "unchecked")


def test_a_row_is_as_bad_as_its_worst_run_else_as_believed_as_its_strongest():
    assert row_verdict(["believed", "suspect", "refuted", None]) == "refuted"
    assert row_verdict([None, "suspect"]) == "suspect"
    assert row_verdict(["believed", None]) == "believed"
    assert row_verdict([None, "believed"]) is None


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"against": "x"}, "board-defense-unknown"),
        ({"dataset": "other"}, "board-empty"),
        ({"threat": "l2:1"}, "board-empty"),
        ({"required": ["magic"]}, "board-class-unknown"),
    ],
)
def test_names_that_fit_nothing(options, code, results):
    with refused(code):
        collect(results, **options)


def test_runs_without_images_are_left_out(tmp_path):
    RecordWriter(tmp_path / "toy" / "linf-8-255" / "a1", header("a1", "strong")).__exit__()
    with refused("board-empty"):
        collect(tmp_path)


def test_a_board_for_each_threat_and_data(results):
    record(results, header("d1", "strong", threat="l2:0.5"), "01")
    other = header("e1", "strong")
    other["spec"]["dataset"]["sha256"] = "bb"
    record(results, other, "01")
    assert [(part.threat, len(part.incomplete)) for part in collect(results)] == [
        ("l2:0.5", 1),
        ("linf:8/255", 3),
        ("linf:8/255", 1),
    ]


def test_json_has_a_run_in_each_object(results):
    rows = json.loads(leaderboards.render(results, "json"))
    assert all(row.keys() >= KEYS for row in rows)
    assert rows[2]["robust"] == proportion(2, 9).as_dict()
    assert {key: rows[2][key] for key in ("defense", "attack", "dataset", "threat", "n", "believed", "run_ids", "status")} == {
        "defense": "weak", "attack": "pgd-full", "dataset": "toy", "threat": "linf:8/255", "n": 9, "believed": None,
        "run_ids": ["b1"], "status": "incomplete",
    }  # fmt: skip
    assert rows[0]["run_ids"] == ["a2", "a1"]
    assert rows[0]["row"]["missing"] == ["AutoAttack", "black box", "transfer"]


def cells(text, title):
    part = text[text.index(title) :].splitlines()
    start = next(place for place, row in enumerate(part) if row.startswith("|"))
    rows = [row for row in part[start:] if row.startswith("|")][
        : part[start:].index("") if "" in part[start:] else None
    ]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_markdown(results):
    full_set(results, "d", "ready", "111100000")
    text = leaderboards.render(results, "md", runs=True, commands=True)
    title = "### toy, linf:8/255 (required: full gradient, AutoAttack, black box, transfer; n = 9)"
    ranked = cells(text, f"{title}\n")
    assert ranked[0] == [
        "rank", "rank 95 %", "defense", "classifier", "score model", "clean %", "full gradient %", "AutoAttack %", "black box %", "transfer %",
        "worst case %", "Δ null attack", "score passes", "n", "draws", "seeds", "believed", "flags",
    ]  # fmt: skip
    assert ranked[2][:7] == ["1", "1", "ready", "cnn", "unet", "100.0 [66.4, 100.0]", "44.4 [18.9, 73.3]"]
    apart = cells(text, f"{title}: incomplete")
    assert [row[0] for row in apart[2:]] == ["strong", "weak", "weaker"]
    assert apart[0][-1] == "missing"
    assert "All rows: classifier: cnn; score model: unet; n: 9; seeds: 1; draws: 1." in text.replace(
        "draws: 1; seeds: 1", "seeds: 1; draws: 1"
    )
    assert "bench run --defense weak --attack square" in text
    assert [row[-1] for row in cells(text, "runs\n")[2:]][:4] == ["`d1`", "`d3`", "`d0`", "`d2`"]
    short = leaderboards.render(results, "md")
    assert "bench run" not in short
    assert "`d1`" not in short
    assert re.findall(r"^\*\*(.*?)\*\*", short, re.MULTILINE) == ["Claimed", "How sure", "Next"]
    asked = len(text.partition("```sh\n")[2].partition("\n```")[0].splitlines())
    assert f"`--commands` prints the commands of {asked} runs that complete 3 rows; `--runs` lists the 8 runs" in short


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_terminal_gets_the_columns_that_fit(width, results):
    whole, narrow = (leaderboards.render(results, "md", width=limit) for limit in (10_000, width))
    assert whole == leaderboards.render(results, "md")
    table = [text for text in narrow.splitlines() if text.startswith("|")]
    assert max(map(len, table)) <= width < max(map(len, whole.splitlines()))
    titles, every = (
        [word.strip() for word in text.split("### ")[1].splitlines()[2].split("|")[1:-1]] for text in (narrow, whole)
    )
    assert max(len(text) for text in narrow.splitlines() if not text.startswith("#")) <= width
    assert [title for title in every if title in titles] == titles
    assert {"defense", "worst case %"} <= set(titles)
    told = " ".join(narrow.split())
    left = told.partition(f"Not shown in {width} characters: ")[2].partition(". A")[0].split(", ")
    assert ("Δ null attack: " in told) == ("Δ null attack" in titles)
    assert sorted(left + titles) == sorted(every)


def test_rows_of_one_name_are_told_apart_where_their_columns_do_not_fit(tmp_path):
    for run, name in (("a", "cnn"), ("b", "other")):
        one = header(run, "median")
        one["spec"]["classifier"]["name"] = name
        record(tmp_path, one, "111100000")
    whole, narrow = (
        leaderboards.render(tmp_path, "md", required=["full gradient"], width=width) for width in (999, 80)
    )
    assert [[row[place] for row in cells(text, "### toy")[2:]] for text, place in ((whole, 2), (narrow, 1))] == [
        ["median", "median"], ["median (cnn)", "median (other)"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "gradient", "args", "said"),
    [
        ("square", "none", {"queries": 100}, ["short square (queries=100)"]), ("square", "none", {"queries": 1000}, []),
        ("pgd-full", "full", {"steps": 5}, ["short pgd-full (steps=5)"]), ("pgd-full", "full", {"steps": 10}, []),
        (
            "autoattack-fast", "full", {"steps": 10, "queries": 100},
            ["AutoAttack without FAB", "short autoattack-fast (steps=10, queries=100)"],
        ),
        ("autoattack", "full", {"version": "standard"}, []), ("null", "none", {}, []),
    ],
)  # fmt: skip
def test_an_attack_of_little_effort_is_called_short(name, gradient, args, said):
    assert caveats(spec_of(attack={"name": name, "gradient": gradient, "args": args})) == said


def test_a_gradient_that_is_not_exact_is_no_full_gradient(tmp_path):
    full_set(tmp_path, "d", "exact", "111100000", checks={"gradient_error": 1e-6})
    full_set(tmp_path, "e", "wrong", "111111110", checks={"gradient_error": 3e-1})
    (board,) = collect(tmp_path)
    assert [row.defense for row in board.rows] == ["exact"]
    assert [(row.defense, row.missing) for row in board.incomplete] == [("wrong", ["full gradient"])]


@pytest.mark.parametrize(("name", "option"), [("own", ""), ("my own.py:Own", " --allow-code")])
def test_a_stronger_attack_that_nobody_audited_is_named(tmp_path, name, option):
    weak = record(tmp_path, header("a", name, "pgd-full"), "111111110")
    (weak / "audit.json").write_text(json.dumps({"run_id": "a", "verdict": "believed"}))
    assert "deciding" not in leaderboards.render(tmp_path, "md", required=["full gradient"], commands=True)
    record(tmp_path, header("b", name, "square", gradient="none"), "111110000")
    text = leaderboards.render(tmp_path, "md", required=["full gradient"], commands=True)
    assert f"What audits the deciding attacks:\n\n```sh\nbench audit b --results {tmp_path} --quick{option}\n" in text
    assert "1 audit of deciding attacks" in leaderboards.render(tmp_path, "md", required=["full gradient"])


def test_a_board_says_how_much_its_audits_examined(tmp_path):
    folder = record(tmp_path, header("a", "own", "pgd-full"), "111111110")
    audit = {"run_id": "a", "verdict": "believed", "size": "quick", "n": 32}
    (folder / "audit.json").write_text(json.dumps(audit))
    record(tmp_path, header("b", "other", "pgd-full"), "111111110")
    text = leaderboards.render(tmp_path, "md", required=["full gradient"])
    assert "Believed: what an audit found (quick, 32 images): it excludes large errors, not small ones." in text


def test_the_audit_that_decides_is_that_of_a_run_on_all_images(tmp_path):
    whole = record(tmp_path, header("a", "own", "pgd-full"), "111111110")
    (whole / "audit.json").write_text(json.dumps({"run_id": "a", "verdict": "believed"}))
    record(tmp_path, header("b", "own", "autoattack"), "1000")
    (row,) = board(tmp_path, required=["full gradient"]).rows
    assert (row.verdict, row.n, row.unaudited) == ("believed", 9, None)


def test_runs_of_several_folders_stand_side_by_side_once_each(tmp_path):
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    record(mine, header("a", "own"), "111100000")
    record(mine, header("b", "none"), "100")
    record(theirs, header("b", "none"), "100000000")
    (board,) = collect([mine, theirs], required=["full gradient"])
    assert [(row.defense, row.n) for row in board.rows] == [("own", 9), ("none", 9)]
    assert [len(row.runs) for row in board.rows] == [1, 1]
    with refused("board-empty", match=".*/x, .*/y"):
        collect([tmp_path / "x", tmp_path / "y"])


def test_csv_has_every_interval_as_numbers(results):
    full_set(results, "d", "ready", "111100000")
    rows = list(csv.DictReader(io.StringIO(leaderboards.render(results, "csv"))))
    assert next((row["status"], row["defense"]) for row in rows) == ("ranked", "ready")
    interval = proportion(4, 9)
    assert [float(rows[0][f"worst_case{end}"]) for end in ("", "_low", "_high")] == pytest.approx(
        [interval.value, interval.low, interval.high]
    )
    assert (rows[1]["autoattack"], rows[1]["missing"]) == ("", "AutoAttack; black box; transfer")


def test_latex_escapes_what_would_be_a_command(tmp_path):
    full_set(tmp_path, "a", "path/file_1.py:A&B", "1" * 9)
    text = leaderboards.render(tmp_path, "latex", runs=True)
    assert r"path/file\_1.py:A\&B" in text
    assert r"\toprule" in text
    assert text.count(r"\begin{table}") == 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (apt install texlive-latex-recommended)")
def test_latex_compiles(results, tmp_path):
    full_set(results, "d", "rea_dy%", "111100000")
    body = leaderboards.render(results, "latex", against="strong")
    source = "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n" + body + "\n\\end{document}\n"
    (tmp_path / "board.tex").write_text(source)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "board.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_command_writes_a_file_or_a_folder(results, tmp_path, capsys):
    words = ["leaderboard", "--results", str(results), "--require", "full gradient"]
    assert main([*words, "--format", "html", "--out", str(tmp_path / "site")]) == 0
    assert (tmp_path / "site" / "index.html").read_text().startswith("<!doctype html>")
    assert main([*words, "--format", "csv", "--out", str(tmp_path / "board.csv")]) == 0
    assert (tmp_path / "board.csv").read_text().startswith("dataset,threat,status,rank")
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "site" / "index.html"), str(tmp_path / "board.csv")]
    assert main([*words, "--out", str(results)]) == 2
    assert "[output-unwritable]" in capsys.readouterr().err


def test_a_command_reproduces_its_run(tmp_path):
    from bench.records.command import run_words
    from bench.records.header import read_header
    from bench.records.spec import differences
    from bench.registry.tables import make_registry
    from bench.run.replay import replan

    reference = Path(__file__).parent.parent.parent / "results" / "fashion-mnist-standard"
    headers = [read_header(file.parent) for file in sorted(reference.glob("*/*/*/run.json"))]
    assert len(headers) >= 6
    for one in headers:
        assert differences(one.spec, replan(one, make_registry()).spec) == []
    rho = next(one for one in headers if one.labels.defense == "dpsam rho=0.3")
    words = run_words(rho, 2, attack="null", results=str(tmp_path))
    assert words[:6] == ["bench", "run", "--defense", "dpsam", "-D", "rho=0.3"]
    assert main([*words[1:], "--quiet"]) == 0
    (made,) = tmp_path.glob("*/*/*/run.json")
    assert json.loads(made.read_text())["spec"]["defense"] == rho.document["spec"]["defense"]


def test_a_seed_that_has_faced_fewer_attacks_is_not_averaged(tmp_path):
    """Seed 0 falls to the second attack, which seed 1 has not met: half of it would not be the worst case of anything."""
    record(tmp_path, header("a1", "one"), "1111")
    record(tmp_path, header("a2", "one", "pgd-bpda", gradient="bpda"), "0011")
    record(tmp_path, header("a3", "one", seed=1), "1111")
    (board,) = collect(tmp_path, required=["full gradient"])
    (row,) = board.rows
    assert (row.seeds, row.worst_case.value) == ([0], 0.5)
    record(tmp_path, header("a4", "one", "pgd-bpda", gradient="bpda", seed=1), "1111")
    (board,) = collect(tmp_path, required=["full gradient"])
    assert (board.rows[0].seeds, board.rows[0].worst_case.value) == ([0, 1], 0.75)


def test_rows_of_one_name_and_other_code_are_told_apart(tmp_path):
    """As after an edit of the defense's file: the board names their contents, and a table has to say which it means."""
    for run, sha in (("a1", "11112222" * 8), ("b1", "33334444" * 8)):
        made = header(run, "own.py:Own")
        made["spec"]["defense"]["sha256"] = sha
        record(tmp_path, made, "1010")
    record(tmp_path, header("c1", "other"), "1000")
    (board,) = collect(tmp_path, required=["full gradient"])
    assert [row.defense for row in board.rows] == ["own.py:Own @11112222", "own.py:Own @33334444", "other"]
    spec = tmp_path / "table.toml"
    spec.write_text('[[columns]]\ntitle = "Clean"\nvalue = "clean"\n[[rows]]\ndefense = "own.py:Own"\n')
    with refused("table-row-unknown", match="did you mean own.py:Own @11112222"):
        papers.make(str(spec), results=tmp_path, output="md")


@pytest.mark.parametrize("n", [leaderboards.assembly.FEW - 1, leaderboards.assembly.FEW])
def test_a_row_of_few_images_has_no_rank(n, tmp_path, monkeypatch):
    """Two images, both right, cannot be told from 57 of 100: without this rule they would share the first rank."""
    monkeypatch.setattr(leaderboards.assembly, "FEW", 20)
    record(tmp_path, header("a1", "trial"), "1" * n)
    record(tmp_path, header("b1", "known"), "10" * 50)
    (board,) = collect(tmp_path, required=["full gradient"])
    names = [row.defense for row in board.rows], [row.defense for row in board.incomplete]
    assert names == ((["trial", "known"], []) if n == 20 else (["known"], ["trial"]))
    if n < 20:
        (row,) = board.incomplete
        assert row.missing == ["images"]
        assert "--defense trial --attack pgd-full" in row.commands[0]
        assert " -n 20 " in f"{row.commands[0]} "
