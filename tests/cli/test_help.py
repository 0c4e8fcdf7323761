"""The help of commands with many options: in sections, every option once, readable in 80 columns."""

import re

import pytest
import typer

from bench.cli.help import KEPT, WHERE, Sectioned
from bench.cli.main import app, main

HEADINGS = {
    "run": ["What is attacked, and how", "How it is scored", WHERE, KEPT],
    "audit": ["Arguments", "Instead of a run, one to make", "What is examined", WHERE, KEPT],
    "suite": ["Arguments", "What is made", WHERE, KEPT],
}
SECTION = re.compile(r"^(\S.*):\n((?:  .*\n)+)", re.MULTILINE)


def sections(command, capsys):
    """The lines below each heading."""
    assert main([command, "--help"]) == 0
    return {heading: text.splitlines() for heading, text in SECTION.findall(capsys.readouterr().out)}


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("command", HEADINGS)
def test_headings_stand_in_order_and_every_option_once(command, capsys):
    found = sections(command, capsys)
    assert list(found) == HEADINGS[command]
    shown = [line.split()[0].rstrip(",") for lines in found.values() for line in lines if line[2] != " "]
    names = [parameter.opts[-1] for parameter in typer.main.get_command(app).commands[command].params]
    assert sorted(shown) == sorted({"--samples": "-n"}.get(name, name) for name in [*names, "-h"])


@pytest.mark.parametrize("command", HEADINGS)
def test_texts_have_one_left_edge_and_fit(command, capsys):
    lines = [line for lines in sections(command, capsys).values() for line in lines]
    edges = {re.match(r"  (\S.*?)?  +(?=\S)", line).end() for line in lines}
    assert len(edges) == 1
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("command", "option", "heading"),
    [
        ("run", "--threat", "What is attacked, and how"),
        ("run", "--mix-environments", WHERE),
        ("audit", "--data-dir", WHERE),
        ("suite", "--allow-code", "What is made"),
        ("suite", "-h,", KEPT),
    ],
)
def test_an_option_without_a_heading_stands_with_the_one_before_it(command, option, heading, capsys):
    assert any(line.startswith(f"  {option} ") for line in sections(command, capsys)[heading])


def test_without_headings_all_are_options(capsys):
    own = typer.Typer(rich_markup_mode=None)

    @own.command(cls=Sectioned)
    def command(file: str, size: int = 1) -> None: ...

    with pytest.raises(SystemExit):
        own(["--help"])
    assert [heading for heading, _ in SECTION.findall(capsys.readouterr().out)] == ["Arguments", "Options"]


def commands(group=None, words=()):
    """The words of every command and group."""
    group = group or typer.main.get_command(app)
    yield list(words)
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*words, name))


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_h_is_help(words, capsys):
    assert main([*words, "--help"]) == 0
    long = capsys.readouterr().out
    assert main([*words, "-h"]) == 0
    assert capsys.readouterr().out == long
    assert "-h, --help" in long
