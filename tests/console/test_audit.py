"""What people read of an audit: prices, progress, what is excluded, and what to do next."""

from __future__ import annotations

import io
import re
import sys

import pytest
from audited import examined, made

from bench.audit.finding import Finding
from bench.audit.strength import excluded
from bench.cli.main import main
from bench.console.audit import AuditProgress, audit_text, outlook_text

LABELS = {"defense": "none", "attack": "pgd-full"}


def effort(*highs, verdict="pass"):
    values = {f"variant {k}": {"gain": {"value": 0.0, "low": -0.1, "high": high}} for k, high in enumerate(highs)}
    return {
        "name": "effort", "verdict": verdict, "meaning": "Nothing more (twice the steps 0.0 [-5.8, 5.8]).", "command": "", "n": 32,
        "values": values | {"note": 1},
    }  # fmt: skip


def document(*checks, verdict="believed"):
    return {"verdict": verdict, "size": "quick", "n": 32, "run_id": "4c11", "checks": list(checks)}


def test_what_a_believed_audit_excludes_is_the_upper_end_of_more_effort():
    assert excluded(document(effort(0.058, 0.11))) == (32, 0.11)
    assert excluded(document(effort(-0.01))) == (32, 0.0)
    assert excluded(document(effort(0.1, verdict="skipped"))) is None
    assert excluded(document(effort())) is None
    assert excluded(document()) is None
    for values in ([1], "none", None, {"a": {"gain": "much"}}, {"a": {"gain": {"high": "much"}}}):
        assert excluded(document({**effort(), "values": values})) is None
    lines = audit_text(document(effort(0.058, 0.11)), LABELS).splitlines()
    assert " ".join(" ".join(lines[2:4]).split()) == (
        "strength 32 images exclude a drop of more than about 11 points under more of the same attack (95 %), "
        "not a smaller one or a stronger attack"
    )
    assert "strength" not in audit_text(document(effort(0.11), verdict="suspect"), LABELS)


def test_a_table_fits_eighty_columns():
    checks = [effort(0.1), {**effort(0.1), "name": "reference-attack", "meaning": 12 * "some words "}]
    lines = audit_text(document(*checks), {"defense": "dpsam", "attack": 12 * "loss=cw "}).splitlines()
    assert max(map(len, lines)) <= 80
    assert "  ok  reference-attack  some words some words some words some words some words" in lines
    assert 24 * " " + "some words some words some words some words some words" in lines


def price(seconds, likely):
    return {"seconds": seconds, "likely": likely, "passes": {"score_forward": 31_744, "classifier_forward": 9}}


@pytest.mark.parametrize(
    ("seconds", "likely", "said"),
    [
        (540.0, 186.0, "likely 3.1 min, at most 9.0 min"),
        (540.0, 500.0, "at most 9.0 min"),
        (1.4, 0.9, "at most 1 s"),
    ],
)
def test_a_price_is_one_figure_where_both_agree(seconds, likely, said, capsys):
    cost = price(seconds, likely)
    checks = [{"name": "effort", "state": "new", "why": "", "predicted": cost}]
    lines = outlook_text(
        {"run_id": "4c11", "n": 32, "size": "quick", "checks": checks, "total": {"checks": 1, **cost}}, LABELS
    )
    assert lines.splitlines()[1:] == [
        f"  effort  {said}",
        f"1 check to make: {said}",
        "  passes, at most: 31,744 score forward · 9 classifier forward",
        "nothing was run or stored",
    ]
    progress = AuditProgress(quiet=False)
    progress.priced({"checks": 2, **cost})
    progress.begins("effort", "What more adds.", cost)
    progress.ends(Finding(name="effort", verdict="pass", seconds=12.0), new=True)
    progress.begins("radius", "Success grows with eps, and nothing stands in an unbounded ball.", cost)
    first, asks, ends, *rest = capsys.readouterr().err.splitlines()
    assert (first, asks) == (f"2 checks to make: {said}", f"[1/2] effort: What more adds. {said[0].upper()}{said[1:]}")
    assert ends == "  effort: pass (12 s)"
    assert rest[0] == "[2/2] radius: Success grows with eps, and nothing stands in an unbounded ball."
    assert rest[1:] == [f"      {said[0].upper()}{said[1:]}"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal, True), (io.StringIO, False)])
@pytest.mark.parametrize("quiet", [False, True])
def test_an_attack_inside_a_check_is_seen_on_a_terminal_alone(stream, shown, quiet, monkeypatch):
    there = stream()
    monkeypatch.setattr(sys, "stderr", there)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    with AuditProgress(quiet=quiet).attacking("pgd-known steps=10 losses=cw") as reporter:
        reporter.started([], 32)
        reporter.working(0.5, 20, 32)
        reporter.bar.refresh()
        reporter.finished([])
    said = there.getvalue()
    whole = re.search(r"  pgd-known steps=10 losses=cw 16/32 done, 20 unbroken, [0-9]+ s left", said)
    assert bool(whole) == (shown and not quiet)
    assert bool(said) == (shown and not quiet)


def test_a_reader_of_a_believed_number_is_told_how_to_exclude_more(tmp_path, capsys):
    path = made(tmp_path, threat="linf:0.01", samples=40)
    examined(path, samples=32)
    words = ["audit", str(path), "--quick", "--allow-code", "--results", str(tmp_path)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "  strength  32 images exclude a drop of more than about" in said
    following = [line.strip() for line in said.partition("next\n")[2].splitlines()]
    assert following[0] == "# to exclude more: longer attacks on 40 images"
    assert following[1].split() == ["bench", "audit", str(path), "--allow-code"]
    assert main([*words, "--quiet"]) == 0
    assert "next" not in capsys.readouterr().out


def test_who_has_no_verdict_yet_is_not_sent_to_a_longer_audit(tmp_path, capsys):
    path = made(tmp_path, samples=8)
    words = ["audit", str(path), "--quick", "--only", "flags", "--allow-code", "--results", str(tmp_path)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "to exclude more" not in said
    assert "bench leaderboard" in said
