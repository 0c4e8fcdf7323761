"""Which runs of a row count, on which images; its figures over draws; its security curve. By hand."""

import json

import numpy as np
import pytest
from generated_runs import run_of
from records_for_tables import full_set, header, record

import leaderboards
from bench.stats.intervals import mean_share, proportion
from leaderboards.boards import boards_of, collect
from leaderboards.curves import curves


def answers(hits, draws=1):
    """Predictions of images of class 1: the first `hits` of the draws are right, the others say 0."""
    return np.array([[1] * hit + [0] * (draws - hit) for hit in map(int, hits)])


def attacked(run, defense, hits, attack="pgd-full", *, clean=None, draws=1, **options):
    """A run in memory on images 0, 1, ...; digits count right draws."""
    made = header(run, defense, attack, draws=draws, **options)
    made["spec"]["attack"] |= {"knowledge": "known"} if attack == "pgd-known" else {}
    n = len(hits)
    clean = answers(clean if clean is not None else str(draws) * n, draws)
    return run_of(made, np.arange(n), np.ones(n, dtype=int), clean, answers(hits, draws))


def row_of(*runs, required=("full gradient",)):
    (board,) = boards_of(runs, required=required)
    (row,) = board.every
    return row


def test_a_second_seed_on_fewer_images_does_not_shrink_the_row():
    first = attacked("a", "one", "1" * 20 + "0" * 20)
    short, whole = (attacked(run, "one", hits, seed=1) for run, hits in (("b", "0" * 5), ("c", "1" * 40)))
    assert (row_of(first, short).seeds, row_of(first, short).worst_case) == ([0], proportion(20, 40))
    assert (row_of(first, whole).seeds, row_of(first, whole).worst_case.value) == ([0, 1], 0.75)


def test_a_seed_of_more_attacks_leads_and_one_of_fewer_is_left_out():
    runs = [attacked("a", "one", "1" * 30), attacked("b", "one", "1" * 30, seed=1)]
    runs.append(attacked("c", "one", "0" * 30, "square", gradient="none", seed=1))
    assert (row_of(*runs).seeds, row_of(*runs).worst_case.value) == ([1], 0)


def test_an_attack_that_only_one_of_two_seeds_faced_leaves_the_other_out():
    """Not the mean of the worst of two attacks and of one: the seed that faced both is the row."""
    runs = [attacked("a", "one", "1" * 30), attacked("b", "one", "1" * 30, seed=1)]
    runs.append(attacked("c", "one", "0" * 10 + "1" * 20, "pgd-eot"))
    assert (row_of(*runs).seeds, row_of(*runs).worst_case) == ([0], proportion(20, 30))


def test_two_numbers_of_draws_are_two_rows():
    runs = [attacked("a", "noisy", "2" * 20 + "0" * 20, draws=2), attacked("b", "noisy", "4" * 30 + "0" * 10, draws=4)]
    (board,) = boards_of(runs, required=("full gradient",))
    assert [(row.draws, row.worst_case.value) for row in board.rows] == [(4, 0.75), (2, 0.5)]


def test_the_unchanged_image_counts_as_an_attack():
    """An attack of another package may mend an image: it is wrong all the same."""
    row = row_of(attacked("a", "one", "1" * 30, clean="1" * 20 + "0" * 10))
    assert (row.worst_case, row.clean, row.under["full gradient"]) == (
        proportion(20, 30),
        proportion(20, 30),
        proportion(30, 30),
    )
    assert row.delta_null.value == 0


def test_four_figures_of_a_stochastic_defense():
    """Of 20 images, ten have 3 of 4 right draws, ten have 1 (the first); under known draws 2 and 0; all clean but one draw."""
    fresh = attacked("a", "noisy", "3" * 10 + "1" * 10, draws=4, clean="4" * 19 + "3")
    known = attacked("b", "noisy", "2" * 10 + "0" * 10, "pgd-known", draws=4, clean="4" * 19 + "3")
    row = row_of(fresh, known)
    values = {rule: (pair["clean"].value, pair["robust"].value) for rule, pair in row.draw_figures.items()}
    assert values == {"mean": (79 / 80, 0.5), "worst": (0.95, 0.0), "majority": (1.0, 0.5), "known": (79 / 80, 0.25)}
    assert row.draw_figures["worst"]["clean"] == proportion(19, 20)
    assert row.draw_figures["mean"]["robust"] == mean_share(np.repeat([0.75, 0.25], 10))
    # of 4 draws 3 right: chances 3/4, 1/2, 1/4, 0; one right: 1/4, 0, 0, 0
    assert row.any_fail["robust"] == pytest.approx([0.5, 0.25, 0.125, 0])
    assert row.any_fail["clean"] == pytest.approx([(19 + share) / 20 for share in (0.75, 0.5, 0.25, 0)])
    assert row.worst_case == mean_share(np.repeat([0.5, 0.0], 10))


def test_a_deterministic_row_has_one_number():
    row = row_of(attacked("a", "one", "1" * 30))
    assert (row.draw_figures, row.any_fail) == (None, None)


def test_the_tables_of_draws_are_left_out_unless_asked_for_or_without_need(tmp_path):
    full_set(tmp_path, "a", "plain", "1" * 20)
    assert "rules over draws" not in leaderboards.render(tmp_path, "md", runs=True)
    full_set(tmp_path, "b", "noisy", "3" * 20, draws=4)
    for output in ("md", "latex"):
        whole, brief = (leaderboards.render(tmp_path, output, runs=one) for one in (True, False))
        assert [title in whole for title in ("rules over draws", "any of N submissions fails")] == [True, True]
        assert [title in brief for title in ("rules over draws", "any of N submissions fails")] == [False, False]


def test_a_curve_has_the_same_images_at_all_radii_and_never_rises():
    """Alone, 8/255 has 1 of 2 images and 16/255 has 3 of 4; of the two images of both, the second is broken at 8 and so at 16."""
    runs = [
        attacked("a", "one", "10", threat="linf:8/255"),
        attacked("b", "one", "1110", threat="linf:16/255", clean="1111"),
    ]
    runs.append(attacked("c", "one", "11", threat="l2:1"))
    boards = boards_of(runs, required=("full gradient",))
    found = {curve.norm: curve for curve in curves(boards)}
    points = [(threat, share.value) for threat, _, share in found["linf"].points]
    assert points == [(None, 1), ("linf:8/255", 0.5), ("linf:16/255", 0.5)]
    assert (found["linf"].n, len(found["l2"].points)) == (2, 2)


def test_a_row_names_the_publication_of_a_built_in_defense(tmp_path):
    record(tmp_path, header("a", "diffpure"), "1" * 20)
    foreign = header("b", "diffpure")
    foreign["spec"]["defense"]["sha256"] = "ab" * 32
    record(tmp_path, foreign, "0" * 20)
    first, second = json.loads(leaderboards.render(tmp_path, "json", required=["full gradient"]))
    assert (first["row"]["source"]["venue"], first["row"]["source"]["year"]) == ("ICML 2022", 2022)
    assert second["row"]["source"] is None


def test_what_p_and_the_undefended_classifier_are_compared_on_is_in_the_cell(tmp_path):
    record(tmp_path, header("a", "own"), "1" * 30)
    record(tmp_path, header("b", "none"), "0" * 20)
    (board,) = collect(tmp_path, required=["full gradient"], against="none")
    own = board.rows[0]
    assert (own.n, own.paired_n, own.delta_undefended.n, own.shared.n) == (30, 20, 20, 20)
    text = leaderboards.render(tmp_path, "md", required=["full gradient"], against="none")
    assert text.count("(n = 20)") == 2
