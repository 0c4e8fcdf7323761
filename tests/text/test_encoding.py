"""Terminals and pipes of any encoding: a command ends as it would elsewhere, and what cannot be said is written in ASCII."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from records_for_tables import full_set

from bench.cli.main import main
from bench.text.encoding import PLAIN, widen

REPOSITORY = Path(__file__).parent.parent.parent
ENCODINGS = ["cp1252", "latin-1", "ascii", "cp437", "utf-16", "utf-8"]
HITS = "1" * 15 + "0" * 10


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A board of two defenses, one of a name that few encodings hold."""
    folder = tmp_path_factory.mktemp("board") / "results"
    full_set(folder, "aa", "none", "0" * 25)
    full_set(folder, "bb", "füß-名前", HITS)
    return folder


def stream(encoding, errors="strict"):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors, write_through=True)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_sign_can_be_written(encoding):
    text = "".join(PLAIN) + "füß 名前 \U0001f600 \udc80"
    out = stream(encoding)
    widen(out)
    print(text, file=out)
    written = out.buffer.getvalue().decode(encoding)
    if encoding in ("utf-16", "utf-8"):
        assert written.startswith("".join(PLAIN) + "füß 名前 \U0001f600 \\udc80")
    else:
        assert "\\u540d\\u524d \\U0001f600" in written
        assert ("füß" in written) == (encoding != "ascii")
        assert "?" not in written


def test_replacements_are_ascii_and_single_signs_stay_where_they_can():
    assert all(text.isascii() and len(sign) == 1 for sign, text in PLAIN.items())
    out = stream("cp1252")
    widen(out)
    print("± 3 · ≥ 2 … Δ", file=out, end="")
    assert out.buffer.getvalue().decode("cp1252") == "± 3 · >= 2 … Delta"


@pytest.mark.parametrize("errors", ["replace", "ignore", "xmlcharrefreplace"])
def test_a_stream_that_was_told_how_keeps_to_it(errors):
    out = stream("ascii", errors)
    widen(out)
    assert out.errors == errors


def test_what_is_no_text_stream_stays_as_it_is():
    widen(io.StringIO())


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("command", ["leaderboard", "leaderboard --json", "show 030c098bf6fa", "list defenses"])
def test_commands_say_the_same_in_every_encoding(results, monkeypatch, encoding, command):
    out, err = stream(encoding), stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    place = {"l": str(results), "s": str(REPOSITORY / "results" / "fashion-mnist-standard")}[command[0]]
    assert main([*command.split(), *([] if command.startswith("list") else ["--results", place])]) == 0
    said = out.buffer.getvalue().decode(encoding)
    if "--json" in command:
        assert any(row["defense"] == "füß-名前" for row in json.loads(said))
    if command == "leaderboard":
        assert "60.0 [" in said
        assert ("Delta" in said) == (not encoding.startswith("utf"))


def test_a_sentence_on_stderr_too(monkeypatch):
    err = stream("latin-1")
    monkeypatch.setattr(sys, "stderr", err)
    assert main(["show", "名≥", "--results", "nowhere"]) == 2
    assert "\\u540d>=" in err.buffer.getvalue().decode("latin-1")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_a_process_whose_output_is_piped(results, tmp_path, encoding):
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "leaderboard", "--results", str(results)],
        env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert "Delta" in ran.stdout.decode(encoding)


def test_a_file_is_in_utf_8_whatever_the_terminal_speaks(results, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream("ascii"))
    assert main(["leaderboard", "--results", str(results), "--out", str(tmp_path / "board.md")]) == 0
    text = (tmp_path / "board.md").read_text(encoding="utf-8")
    assert "Δ" in text
    assert "füß-名前" in text
