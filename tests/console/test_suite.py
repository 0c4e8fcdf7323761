"""What people see of a suite, on a terminal and elsewhere."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from bench.console.suite import SuiteProgress, outcome_documents, outcome_text, outlook_documents, outlook_text
from bench.errors import UserError
from bench.run.prediction import Forecast, Prediction
from bench.suite.cells import Cell
from bench.suite.finished_cells import Figures
from bench.suite.outcome import Outcome
from bench.suite.outlook import Outlook

CELLS = [
    Cell(names={"defense": name, "attack": "null", "dataset": "d"}, samples=100) for name in ("a", "b\x1b[31m", "c")
]
FIGURES = Figures("123", "results/123", 100, 0.9, (0.5, 0.4, 0.6))


def tell(progress):
    """A suite of three cells: one is made in two shards, one fails, another process makes the third."""
    progress.began(CELLS[0], 50, 100)
    progress.working(CELLS[0], 0.5, 3, 50)
    progress.working(CELLS[2], 0.5, 3, 50)
    progress.stored(CELLS[0], 50)
    progress.ended(Outcome(CELLS[0], "made", FIGURES))
    progress.ended(Outcome(CELLS[1], "failed", error=UserError("no such [bold]thing[/bold]")))
    progress.waiting(1)
    progress.waiting(1)


@pytest.fixture
def progress(capsys):
    return SuiteProgress(CELLS, quiet=False)


def test_lines_where_there_is_no_terminal(progress, capsys):
    with progress:
        tell(progress)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "[0/3] a: resuming after 50 of 100 images",
        "[0/3] a: 100/100 done",
        "[1/3] a: made, robust 50.0 % [40.0, 60.0]",
        "[2/3] b\\x1b[31m: failed: no such [bold]thing[/bold]",
        "waiting for 1 cell that another process is making",
    ]


def test_a_pipe_is_told_what_begins_and_nothing_of_what_is_done(progress, capsys):
    progress.began(CELLS[0], 0, 100)
    progress.began(CELLS[2], 100, 100)
    assert capsys.readouterr().err == "[0/3] a: attacking 100 images\n"


def test_a_table_on_a_terminal(monkeypatch):
    screen = io.StringIO()
    progress = SuiteProgress(CELLS, quiet=False)
    progress.console = progress.live.console = Console(file=screen, force_terminal=True, width=120, markup=False)
    progress.shown = True
    with progress:
        progress.began(CELLS[0], 0, 100)
        progress.stored(CELLS[0], 50)
        progress.working(CELLS[0], 0.5, 20, 50)
        progress.live.refresh()
    shown = screen.getvalue()
    assert "75/100 done" in shown
    assert "[0/3] cells" in shown
    assert " left" in shown
    tell(progress)
    table = progress._table()
    assert "2/3" in str(table.renderables[1])


def test_quiet_is_quiet(capsys):
    with SuiteProgress(CELLS, quiet=True) as progress:
        tell(progress)
    assert capsys.readouterr() == ("", "")


def test_the_summary():
    outcomes = [Outcome(CELLS[0], "made", FIGURES), Outcome(CELLS[2], "failed", error=UserError("so"))]
    assert outcome_text(outcomes).splitlines() == [
        "all cells: null · d · n = 100",
        "",
        "cell  clean %  robust %           run",
        "a     90.0     50.0 [40.0, 60.0]  123",
        "c                                      failed: so",
        "",
        "2 cells: 1 made, 1 failed",
    ]
    other = Outcome(Cell(names=CELLS[0].names, samples=50), "done", replace(FIGURES, n=50))
    assert outcome_text([outcomes[0], other]).splitlines()[:2] == [
        "cell          n    clean %  robust %           run",
        "a · null · d  100  90.0     50.0 [40.0, 60.0]  123",
    ]
    first, second = outcome_documents(outcomes)
    assert first["robust"] == {"value": 0.5, "low": 0.4, "high": 0.6}
    assert (first["run_id"], first["n"], second["error"], second["state"]) == ("123", 100, "so", "failed")


def forecast(most, likely):
    most, likely = (
        Prediction(images=10, passes={"score_forward": 1000, "score_hvp": 0}, seconds=seconds)
        for seconds in (most, likely)
    )
    return Forecast(done=90, most=most, likely=likely, standing=0.5, probed=16)


def test_the_outlook():
    looks = [
        Outlook(CELLS[0]),
        Outlook(CELLS[0], 10, 100, forecast(600.0, 300.0)),
        Outlook(CELLS[2], 100, 100),
        Outlook(CELLS[2], error=UserError("so")),
    ]
    assert outlook_text(looks, 2).splitlines() == [
        "all cells: null · d",
        "",
        "cell  state  images missing  likely   at most",
        "a     done",
        "a     begun  10              5.0 min  10.0 min",
        "c     new    100             ?        ?",
        "c     wrong                           so",
        "",
        "4 cells: 1 done, 1 begun, 1 new, 1 wrong",
        "likely 2.5 min, at most 5.0 min on 2 workers",
        "likely 1,000 score forward",
        "1 cell not predicted: the attack states no bound on its work",
        "nothing was run or stored",
    ]
    document = outlook_documents(looks, 1)
    assert document["total"]["most"] == {"seconds": 600.0, "passes": {"score_forward": 1000, "score_hvp": 0}}
    assert [cell["missing"] for cell in document["cells"]] == [0, 10, 100, 0]
