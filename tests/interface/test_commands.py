"""The functions that take no objects give what their commands print with `--json`."""

import json
from pathlib import Path

import pytest
from refused import refused

import bench
from bench.cli.main import main

REFERENCE = Path(__file__).parent.parent.parent / "results" / "fashion-mnist-standard"
SUITE = """
defense = ["none", { name = "bit-depth", bits = 3 }]
attack = [{ name = "pgd-bpda", steps = 1 }]
samples = 2
"""


def printed(capsys, words):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_suite_check_pack_and_load(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("suite.toml").write_text(SUITE)
    made = bench.suite("suite.toml")
    assert [cell["state"] for cell in made] == ["made", "made"]
    told = printed(capsys, ["suite", "suite.toml", "--quiet"])
    assert [cell["run_id"] for cell in told] == [cell["run_id"] for cell in made]
    assert [cell["state"] for cell in bench.suite("suite.toml", only=["defense=none"])] == ["done"]
    with refused("suite-only-unmatched"):
        bench.suite("suite.toml", only=["defense=dpsam"])
    main(["check", "--baseline", "baseline", "--update", "--reason", "first", "--quiet"])
    capsys.readouterr()
    assert bench.check("baseline").document == printed(capsys, ["check", "--baseline", "baseline", "--quiet"])
    run = made[0]["run_id"]
    packed = bench.pack(run)
    assert packed == Path(f"{run}.zip")
    assert bench.load(packed, results="theirs").robust == bench.show(run).robust
    assert bench.verify(packed)["verified"]


def test_compare_leaderboard_and_results_are_those_of_the_command_line(capsys):
    folder = ["--results", str(REFERENCE)]
    assert json.loads(json.dumps(bench.compare("4c11", "86fe", results=REFERENCE).document)) == printed(
        capsys, ["compare", "4c11", "86fe", *folder]
    )
    assert bench.show("4c11", results=REFERENCE).summary == {
        key: value for key, value in printed(capsys, ["show", "4c11", *folder]).items() if key != "audit"
    }
    options = {"threat": "linf:20/255", "require": ["full gradient"]}
    told = printed(capsys, ["leaderboard", *folder, "--threat", "linf:20/255", "--require", "full gradient"])
    board = bench.leaderboard(REFERENCE, **options)
    assert board.document == told
    runs, samples = bench.load_results(REFERENCE)
    means = samples.groupby("run_id").robust.mean()
    assert means[runs.run_id].tolist() == pytest.approx(runs.robust.tolist(), abs=1e-12)
    assert main(["table", "main", *folder, "--format", "csv", "--threat", "linf:20/255"]) == 0
    assert capsys.readouterr().out.strip() == bench.table("main", results=REFERENCE, format="csv", threat="linf:20/255")
    assert len(runs) > 50


@pytest.mark.parametrize("kind", ["defenses", "attacks", "datasets", "classifiers", "score-models"])
def test_components_are_the_list(kind, capsys):
    assert bench.components(kind).name.tolist() == [row["name"] for row in printed(capsys, ["list", kind])]
    with refused("kind-unknown"):
        bench.components("things")
