"""What no board may say: on the published records, and on a thousand generated sets of them."""

import itertools
from pathlib import Path

import pytest
from generated_runs import generated

import leaderboards
from bench.figures.runs import read_runs
from leaderboards.boards import boards_of, collect
from leaderboards.classes import AUTO, BLACK, FULL, REQUIRED
from leaderboards.curves import curves
from leaderboards.formats.documents import row_document

REFERENCE = Path(__file__).parent.parent.parent / "results" / "fashion-mnist-standard"
REQUIREMENTS = (REQUIRED, (FULL,), (AUTO, BLACK))
SETS, CHUNK = 1000, 250
SLACK = 1e-9


def check_board(board):
    for row in board.every:
        figures = [
            row.clean,
            row.worst_case,
            *row.under.values(),
            row.worst_seed,
            row.delta_null,
            *([row.eot] if row.eot else []),
        ]
        figures += [share for pair in (row.draw_figures or {}).values() for share in pair.values()]
        assert {figure.n for figure in figures} == {row.n}
        above = [*row.under.values(), row.clean, *([row.eot] if row.eot else [])]
        assert all(row.worst_case.value <= figure.value + SLACK for figure in above), row.defense
        assert row.worst_seed.value <= row.worst_case.value + SLACK
        assert not row.elsewhere.keys() & row.under.keys()
        for other in row.elsewhere.values():
            assert row.remark(other.accuracy.n, other.draws) or other.accuracy.n == row.n
        check_draws(row)
    values = [row.worst_case.value for row in board.rows]
    assert values == sorted(values, reverse=True)
    for row in board.rows:
        assert row.rank == 1 + sum(value > row.worst_case.value + SLACK for value in values)
        assert 1 <= row.rank_low <= row.rank <= row.rank_high <= len(values)
    assert {row.rank for row in board.incomplete} <= {None}


def check_draws(row):
    """Worst of all draws <= mean, attacked <= clean under every rule, and the curve falls from the mean to the worst."""
    assert (row.draw_figures is None) == (row.any_fail is None) == row.deterministic
    for rule, pair in (row.draw_figures or {}).items():
        assert pair["robust"].value <= pair["clean"].value + SLACK, rule
    for part, curve in (row.any_fail or {}).items():
        assert len(curve) == row.draws
        assert all(one >= other - SLACK for one, other in itertools.pairwise(curve))
        ends = [row.draw_figures[rule][part].value for rule in ("mean", "worst")]
        assert [curve[0], curve[-1]] == pytest.approx(ends)
        assert row.worst_case.value <= row.draw_figures["mean"]["robust"].value + SLACK


def check_curves(boards):
    for curve in curves(boards):
        assert {share.n for _, _, share in curve.points} == {curve.n}
        assert all(one.value >= other.value - SLACK for (_, _, one), (_, _, other) in itertools.pairwise(curve.points))
        assert [radius for _, radius, _ in curve.points] == sorted(radius for _, radius, _ in curve.points)


def figures_of(board):
    """All that a board says of its rows."""
    return list(map(row_document, board.every))


def check_titles(made):
    """Boards of the same records that differ in a figure differ in their titles."""
    by_title = {}
    for boards in made:
        for board in boards:
            known = by_title.setdefault((board.title, board.content), board)
            assert figures_of(known) == figures_of(board)


def check_set(runs, requirements=REQUIREMENTS):
    made = [boards_of(runs, required=required) for required in requirements]
    for boards in made:
        for board in boards:
            check_board(board)
        check_curves(boards)
    check_titles(made)


@pytest.mark.parametrize("start", range(0, SETS, CHUNK))
def test_generated_sets(start):
    for key in range(start, start + CHUNK):
        check_set(generated(key), REQUIREMENTS[1:] if key % 3 else REQUIREMENTS[:2])


def test_the_published_board():
    runs = list(read_runs(REFERENCE))
    check_set(runs)
    assert max(len(board.rows) for board in collect(REFERENCE, required=(FULL,))) > 20


def test_the_generated_sets_take_every_way():
    """Unequal n, several seeds and draws, incomplete rows, cells of other images, curves of several radii, all of them often."""
    sets = [boards_of(generated(key), required=(FULL,)) for key in range(40)]
    rows = [row for boards in sets for board in boards for row in board.every]
    assert sum(len({part.n for part in row.runs}) > 1 for row in rows) > 30
    assert sum(len(row.seeds) > 1 for row in rows) > 5
    assert sum(bool(row.elsewhere) for row in rows) > 30
    assert sum(bool(row.missing) for row in rows) > 30
    assert sum(row.rank is not None for row in rows) > 30
    assert sum(not row.deterministic for row in rows) > 30
    assert sum(row.draw_figures is not None and len(row.draw_figures) == 4 for row in rows) > 5
    assert sum(len(curve.points) > 2 for boards in sets for curve in curves(boards)) > 20


@pytest.mark.parametrize("output", ["md", "latex", "csv", "json", "html"])
def test_every_format_names_the_requirement(output):
    """On the records where the requirement decides: 250 images with the exact gradient alone, 100 with all classes."""
    texts = [
        leaderboards.render(REFERENCE, output, threat="linf:20/255", required=required, images=0)
        for required in ((FULL,), (FULL, AUTO, BLACK))
    ]
    titles = [
        "(required: full gradient; n = 100 to 250)",
        "(required: full gradient, AutoAttack, black box; n = 100 to 250)",
    ]
    assert [[title in text for title in titles] for text in texts] == [[True, False], [False, True]]
