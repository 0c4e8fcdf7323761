"""Boards and lines as tables: Parquet has what CSV and the records have."""

import io
import json
import sys

import pandas
import pytest
from records_for_tables import full_set, header, record

from bench.cli.main import main
from bench.errors import UserError
from bench.exchange.tables import as_parquet


def test_the_lines_of_a_run_as_a_table(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    path = record(tmp_path, header("a", "noisy", draws=2), "210")
    words = ["export", "a", "--results", str(tmp_path)]
    assert main([*words, "--to", "parquet", "-o", str(tmp_path / "a.parquet")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "a.parquet")
    frame = pandas.read_parquet(tmp_path / "a.parquet")
    lines = [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]
    assert frame.index.tolist() == [line["id"] for line in lines]
    assert [row.tolist() for row in frame["adversarial"]] == [line["adversarial"] for line in lines]
    assert frame["robust"].tolist() == [1.0, 0.5, 0.0]
    assert frame["score_forward"].tolist() == [line["cost"]["score_forward"] for line in lines]
    assert main([*words, "--to", "csv"]) == 0
    table = pandas.read_csv(io.StringIO(capsys.readouterr().out), index_col="id")
    assert table["robust"].tolist() == [1.0, 0.5, 0.0]


def test_a_board_is_the_same_as_parquet_and_as_csv(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    full_set(tmp_path, "a", "best", "1" * 30)
    full_set(tmp_path, "b", "none", "0" * 30)
    words = ["leaderboard", "--results", str(tmp_path), "--format"]
    assert main([*words, "csv"]) == 0
    table = pandas.read_csv(io.StringIO(capsys.readouterr().out))
    assert main([*words, "parquet", "-o", str(tmp_path / "b.parquet")]) == 0
    capsys.readouterr()
    frame = pandas.read_parquet(tmp_path / "b.parquet")
    assert frame.columns.tolist() == table.columns.tolist()
    for name in ("defense", "rank", "worst_case", "worst_case_low", "n"):
        assert frame[name].tolist() == table[name].tolist()
    assert main([*words, "parquet"]) == 2
    assert "--out" in capsys.readouterr().err


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pyarrow.*purebench\[parquet\]"):
        as_parquet(pandas.DataFrame({"a": [1]}))
