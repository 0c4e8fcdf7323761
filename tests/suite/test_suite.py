"""Suites as they are run: what is made, what is known, what fails, and what two of them do to one folder."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bench.plan.loaded
import bench.run.local
from bench.cli.main import main
from bench.registry.tables import make_registry
from bench.suite import finished_cells
from bench.suite.cells import cells_of
from bench.suite.file import read_suite
from bench.suite.finished_cells import Figures, FinishedCells

SUITE = """
samples = 4
defense = ["none", "median"]
attack = ["null", { name = "pgd-full", steps = 2, losses = ["cw"] }]
device = "cpu"
batch_size = 4
"""
PARTS = """
import os
import time
from pathlib import Path

class Breaks:
    deterministic = True
    def purify(self, x, noise):
        if Path("break").exists():
            raise ValueError("broken")
        return x

class Slow(Breaks):
    def purify(self, x, noise):
        Path(f"working-{os.getpid()}").touch()
        time.sleep(0.05)
        return x
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a suite and parts, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("suite.toml").write_text(SUITE)
    Path("parts.py").write_text(PARTS)
    return tmp_path


def suite(words="", code=0):
    assert main(["suite", "suite.toml", "--quiet", *shlex.split(words)]) == code


def states(capsys, words="", code=0):
    capsys.readouterr()
    suite(f"--json {words}", code)
    return [row["state"] for row in json.loads(capsys.readouterr().out)]


def runs():
    return sorted(path.name for path in Path("results").glob("*/*/*"))


def content():
    return {file: file.read_bytes() for file in Path("results").rglob("*") if file.is_file()}


def test_a_suite_makes_its_cells_and_then_what_is_missing(capsys):
    suite("--only defense=none --only attack=null")
    assert len(runs()) == 1
    out = capsys.readouterr().out
    assert "none · null · fashion-mnist" in out
    assert "1 cell: 1 made\n" in out
    assert out.endswith("  bench leaderboard\n")
    assert states(capsys) == ["done", "made", "made", "made"]
    assert len(runs()) == 4
    before = content()
    assert states(capsys) == ["done"] * 4
    assert content() == before


def test_the_records_are_those_of_bench_run(capsys):
    suite()
    before = content()
    assert (
        main(
            shlex.split(
                "run --quiet --defense median --attack pgd-full -A steps=2 -A losses=cw -n 4 --batch-size 4 --device cpu"
            )
        )
        == 0
    )
    assert content() == before


def test_what_is_done_is_known_without_torch():
    suite()
    code = "import sys; from bench.cli.main import main; c = main(['suite', 'suite.toml', '--quiet']); sys.exit(9 if 'torch' in sys.modules else c)"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def known():
    return FinishedCells(Path("results"), make_registry())


def cells(text=SUITE):
    Path("suite.toml").write_text(text)
    return cells_of(read_suite(Path("suite.toml")), Path("suite.toml"))


def test_the_list_vouches_only_for_what_has_not_changed(monkeypatch):
    suite()
    first = cells()[0]
    found = known().find(first)
    assert (found.n, found.clean, found.run_id in runs()) == (4, 1.0, True)
    assert Path(found.path).is_dir()
    for change in ("touch", "code", "seal"):
        with monkeypatch.context() as patch:
            record = Path(found.path)
            if change == "touch":
                os.utime(record / "run.json", ns=(1, 1))
            elif change == "code":
                patch.setattr(finished_cells, "_code", lambda: "other")
            else:
                (record / "SHA256SUMS").unlink()
            assert known().find(first) is None
        suite()
        assert known().find(first) == found


def test_cells_that_name_files_are_not_vouched_for(folder):
    registry = make_registry()
    figures = Figures("a", "results/a", 4, 1.0, (1.0, 1.0, 1.0))
    text = 'samples = 4\nattack = "null"\ndefense = ["parts.py:Breaks", "none"]\n[defense_args]\n'
    found = cells(text)
    listed = FinishedCells(Path("results"), registry)
    assert listed._parts(found[0]) is None
    assert listed._parts(found[1]) is not None
    listed.add(found[0], figures)
    assert not listed.file.exists()
    npz = cells('samples = 4\nattack = "null"\ndefense = "none"\ndataset = "npz:a.npz"\n')[0]
    before = listed._parts(npz)
    Path("a.npz").write_bytes(b"1")
    assert listed._parts(npz) != before
    (argument,) = cells('attack = { name = "null" }\ndefense = { name = "none", path = "a/b.pt" }\n')
    assert listed._parts(argument) is None


def test_a_damaged_list_is_no_harm(capsys):
    suite()
    file = known().file
    file.write_bytes(b"{}\nnot json\n" + b'{"cell": 3}\n' + b"[" * 5000 + b"\n" + file.read_bytes()[:-30])
    assert states(capsys) == ["done"] * 4
    entry = known().entries.popitem()[1]
    file.write_text(json.dumps({**entry, "figures": {}}) + "\n")
    assert states(capsys) == ["done"] * 4


def test_the_list_forgets_what_was_replaced(monkeypatch):
    suite()
    file = known().file
    lines = file.read_bytes()
    monkeypatch.setattr(finished_cells, "MOST_STALE", 3)
    file.write_bytes(lines * 4)
    known()
    assert file.read_bytes().count(b"\n") == 4


def test_a_cache_that_cannot_be_written_is_done_without(capsys, monkeypatch):
    Path("cache").touch()
    assert states(capsys) == ["made"] * 4
    assert states(capsys) == ["done"] * 4


def test_networks_and_data_are_loaded_once(monkeypatch):
    loads = []
    original = bench.plan.loaded.load_classifier
    monkeypatch.setattr(bench.plan.loaded, "load_classifier", lambda *words: loads.append(1) or original(*words))
    suite()
    assert len(loads) == 1


def test_the_dry_run_writes_nothing_and_says_what_is_to_come(capsys):
    Path("suite.toml").write_text(SUITE.replace("median", "tweedie"))
    suite("--only defense=none")
    before = content()
    capsys.readouterr()
    suite("--dry-run --json -n 8")
    document = json.loads(capsys.readouterr().out)
    assert [cell["state"] for cell in document["cells"]] == ["begun", "begun", "new", "new"]
    assert [cell["missing"] for cell in document["cells"]] == [4, 4, 8, 8]
    assert document["cells"][3]["most"]["passes"]["score_forward"] > 0
    assert document["total"]["most"]["seconds"] >= document["total"]["likely"]["seconds"] > 0
    suite("--dry-run")
    out = capsys.readouterr().out
    assert "4 cells: 2 done, 2 new" in out
    assert "nothing was run or stored" in out
    assert content() == before


def test_the_dry_run_names_what_is_wrong(capsys):
    Path("suite.toml").write_text('attack = ["robustbench"]\ndefense = ["none", "denoise-once"]\nsamples = 4\n')
    suite("--dry-run")
    out = capsys.readouterr().out
    assert "1 new, 1 wrong" in out
    assert "expected a deterministic defense for robustbench, got denoise-once" in out


def test_a_failed_cell_ends_the_suite_unless_it_keeps_going(capsys):
    Path("suite.toml").write_text(SUITE.replace('"none"', '"parts.py:Breaks"'))
    Path("break").touch()
    suite("--allow-code", code=2)
    err = capsys.readouterr().err
    assert err.startswith("bench: cell parts.py:Breaks · null · fashion-mnist: ")
    assert err.endswith("[foreign-code-failed]\n")
    assert runs() == []
    assert states(capsys, "--allow-code --keep-going", code=2) == ["failed", "failed", "made", "made"]
    Path("break").unlink()
    assert states(capsys, "--allow-code --keep-going") == ["made", "made", "done", "done"]


def test_a_failed_shard_ends_its_cell_only(capsys, monkeypatch):
    from bench.run.worker import Worker

    execute = Worker.execute

    def failing(worker, positions):
        if worker.plan.spec.defense.name == "none" and positions[0] >= 50:
            raise MemoryError("all gone")
        return execute(worker, positions)

    monkeypatch.setattr(Worker, "execute", failing)
    suite("-n 60 --only attack=null", code=4)
    assert "all gone" in capsys.readouterr().err
    assert len(runs()) == 1
    assert states(capsys, "-n 60 --keep-going --only attack=null", code=4) == ["failed", "made"]
    monkeypatch.setattr(Worker, "execute", execute)
    assert states(capsys, "-n 60 --only attack=null") == ["made", "done"]


def test_code_of_a_suite_runs_only_where_it_is_allowed(capsys):
    Path("suite.toml").write_text(SUITE.replace('"none"', '"parts.py:Breaks"'))
    suite(code=2)
    assert "[code-not-allowed]" in capsys.readouterr().err
    suite("--allow-code --only defense=parts* --only attack=null")
    assert len(runs()) == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("suite absent.toml", "suite-not-found"),
        ("suite suite.toml --only defense=zzz", "suite-only-unmatched"),
        ("suite suite.toml -n many", "option-number"),
        ("suite suite.toml --engine slurm", "engine-unknown"),
        ("suite names.toml", "component-unknown"),
    ],
)
def test_wrong_words(words, code, capsys):
    Path("names.toml").write_text('defense = ["none", "zzz"]\nattack = "null"\n')
    assert main(shlex.split(words)) == 2
    assert f"[{code}]" in capsys.readouterr().err
    assert not Path("results").exists()


def test_unknown_names_fail_alone_where_the_suite_keeps_going(capsys):
    Path("suite.toml").write_text('defense = ["zzz", "none"]\nattack = "null"\nsamples = 4\n')
    assert states(capsys, "--keep-going", code=2) == ["failed", "made"]


def test_a_cell_that_another_process_holds_comes_last(capsys, monkeypatch):
    suite("--only defense=none --only attack=null -n 2")
    (record,) = Path("results").glob("*/*/*")
    held = open(record / "samples.jsonl", "rb")  # noqa: SIM115 - until the suite waits
    fcntl.flock(held, fcntl.LOCK_EX)
    waited = []

    def sleep(seconds):
        waited.append(len(runs()))
        held.close()

    monkeypatch.setattr(bench.run.local.time, "sleep", sleep)
    assert states(capsys) == ["made"] * 4
    assert waited == [4]


def test_two_suites_at_once_make_each_record_once():
    Path("suite.toml").write_text(
        'samples = 60\nbatch_size = 50\ndevice = "cpu"\ndefense = "parts.py:Slow"\nattack = "null"\nseed = [0, 1, 2, 3]\n'
    )
    command = [sys.executable, "-m", "bench", "suite", "suite.toml", "--allow-code", "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    told = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    rows = [json.loads(out) for out, _ in told]
    assert (
        sorted(sorted(pair) for pair in zip(*([row["state"] for row in part] for part in rows), strict=True))
        == [["done", "made"]] * 4
    )
    assert len(list(Path(".").glob("working-*"))) == 2
    assert all(len(path.read_bytes().splitlines()) == 60 for path in Path("results").rglob("samples.jsonl"))


def test_many_cells_that_are_done_take_little_memory_and_time():
    """The script in tests/benchmarks measures 1,000; here that nothing but the list is looked at."""
    cells_text = 'samples = 1\nattack = "null"\ndefense = "none"\nseed = ' + str(list(range(6))) + "\n"
    Path("suite.toml").write_text(cells_text)
    suite()
    started = time.monotonic()
    assert all(known().find(cell) for cell in cells(cells_text))
    assert time.monotonic() - started < 60


def ranked(text):
    """Ranks and defenses of the Markdown table that a text ends with."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [(row[0], row[rows[0].index("defense")]) for row in rows if row[0].isdigit()]


def test_a_suite_that_asks_for_a_board_ends_with_it(capsys):
    Path("board.toml").write_text(
        SUITE.replace("samples = 4", 'samples = 20\nboard = ["full gradient"]').replace("steps = 2", "steps = 10")
    )
    for _ in range(2):
        assert main(["suite", "board.toml", "--only", "attack=pgd*", "--quiet"]) == 0
        made, _, board = capsys.readouterr().out.partition("###")
        assert "n = 20" in made
        assert ranked(board) == [("1", "median"), ("2", "none")]
    Path("board.toml").write_text(SUITE + 'board = ["full"]\n')
    assert main(["suite", "board.toml"]) == 2
    assert "'board.0'" in capsys.readouterr().err


def test_a_board_can_require_what_leaderboards_know():
    from typing import get_args

    from bench.suite.file import Ranked
    from leaderboards.classes import REQUIRED

    assert get_args(Ranked) == REQUIRED


@pytest.mark.slow
def test_the_first_suite_ends_with_a_ranked_board_within_two_minutes_of_two_cores(capsys):
    before = sum(os.times()[:2])
    assert main(["suite", "first", "--quiet"]) == 0
    assert sum(os.times()[:2]) - before < 120
    places = ranked(capsys.readouterr().out.partition("###")[2])
    assert len(places) == 6
    assert {defense for _, defense in places} == {
        "none",
        "median",
        "total-variation",
        "tweedie",
        "denoise-once",
        "dpsam",
    }
