"""Rules of the whole code: which commands start without torch, who prints, who switches gradients off, and no global randomness."""

import ast
import json
import os
import re
import shutil
import string
import subprocess
import sys
from pathlib import Path

import pytest

from bench.claims.checks import REFUSED
from bench.errors import sentences

ROOT = Path(__file__).parent.parent
OWN = ("bench", "defenses", "attacks", "leaderboards")
SOURCES = sorted([file for package in OWN for file in (ROOT / package).rglob("*.py")] + [ROOT / "purebench.py"])
COMMANDS = {
    "bench.cli.main",
    "bench.cli.boards",
    "bench.cli.check",
    "bench.cli.exchange",
    "bench.cli.options",
    "bench.cli.report",
    "bench.cli.train",
    "leaderboards.publish",
    "leaderboards.findings.attacks",
    "leaderboards.findings.gradients",
}


def name_of(file):
    return str(file.relative_to(ROOT)).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


TREES = {name_of(file): ast.parse(file.read_text()) for file in SOURCES}


def users(attribute):
    """The modules in which a name or an attribute of this name occurs."""
    return {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == attribute)
        or (isinstance(node, ast.Attribute) and node.attr == attribute)
        or (isinstance(node, ast.alias) and node.name == attribute)
    }


def run(code, *words):
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, check=False)


STANDARD = "results/fashion-mnist-standard"
WITHOUT_TORCH = [
    (["--help"], 0),
    (["run", "--help"], 0),
    (["list"], 0),
    (["suite", "--help"], 0),
    (["suite", "no-such-suite"], 2),
    (["list", "attacks", "--json"], 0),
    (["list", "checks"], 0),
    (["audit", "--help"], 0),
    (["audit", "4c11", "--only", "no-such-check"], 2),
    (["run", "--defense", "no-such-defense"], 2),
    (["leaderboard", "--results", "no-such-folder"], 2),
    (["leaderboard", "--results", STANDARD], 0),
    (["leaderboard", "--results", STANDARD, "--format", "html"], 0),
    (["leaderboard", "--results", STANDARD, "--format", "csv"], 0),
    (["report", "4c11", "86fe", "--no-purified", "--results", STANDARD, "--out", os.devnull], 0),
    (["table", "results/tables/main.toml", "--format", "latex"], 0),
    (["compare", "4c11", "86fe", "--results", STANDARD], 0),
    (["export", "4c11", "--results", STANDARD], 0),
    (["verify", "no-such-run", "--results", STANDARD], 2),
    (["verify", "README.md"], 1),
]
ONE_AFTER_ANOTHER = """
import json, sys
from bench.cli.main import main

for words in json.loads(sys.argv[1]):
    print(json.dumps([words, main(words), "torch" in sys.modules]), file=sys.stderr)
"""
"""Modules that a command has imported stay: the first one that imports torch is the last before `true`s."""


def test_commands_that_do_without_torch(tmp_path):
    """All in one process. The gate is among them: it does without where no images are stored."""
    place = "fashion-mnist/linf-20-255/71630ed2925f"
    for folder in ("baseline", "results"):
        shutil.copytree(ROOT / "results" / "fashion-mnist-standard" / place, tmp_path / folder / place)
    gate = ["check", "--baseline", str(tmp_path / "baseline"), "--results", str(tmp_path / "results")]
    commands = [*WITHOUT_TORCH, (gate, 0)]
    done = run(ONE_AFTER_ANOTHER, json.dumps([words for words, _ in commands]))
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[[")]
    assert told == [[words, code, False] for words, code in commands]


def test_torch_is_imported_where_it_is_needed():
    """So that the test above can fail."""
    assert run("import sys, bench.noise; sys.exit('torch' in sys.modules)").returncode == 1


def test_only_the_command_line_prints():
    calls = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert calls == {*COMMANDS, "purebench"}


def test_only_scoring_and_training_switch_gradients_off():
    assert users("no_grad") | users("inference_mode") == {"bench.run.scoring", "bench.models.training.training"}


@pytest.mark.parametrize("name", ["manual_seed_all", "randn_like", "rand_like", "default_rng"])
def test_no_global_randomness(name):
    assert users(name) == set()


def error_calls():
    """Each error built from a code: (code, names of its values, where)."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error") and node.args:
                code = getattr(node.args[0], "value", None)
                if code in sentences():
                    yield code, {word.arg for word in node.keywords}, f"{name}:{node.lineno}"


def test_each_error_gives_the_values_of_its_sentence():
    wrong = []
    for code, values, where in error_calls():
        wanted = {field for _, field, _, _ in string.Formatter().parse(sentences()[code]) if field}
        if values != wanted:
            wrong.append((where, code, values ^ wanted))
    assert wrong == []


def test_each_code_is_raised_in_one_place():
    """A code in two files, or twice in one, cannot tell which of them it was; a code in none is a leftover.

    A table from checks to codes counts as one place, and a comparison with `error.code` as none.
    """
    places = {code: set() for code in sentences()}
    for name, tree in TREES.items():
        compared = {part for node in ast.walk(tree) if isinstance(node, ast.Compare) for part in node.comparators}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and node.value in places
                and node not in compared
            ):
                places[node.value].add(f"{name}:{node.lineno}")
    assert {code: where for code, where in places.items() if len(where) != 1} == {}


def test_the_catalogue_is_in_order():
    """Each code is lower case with hyphens, stands under the room that raises it, and once, in alphabetical order."""
    assert [code for code in sentences() if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", code)] == []
    rooms = {}
    for line in filter(None, (ROOT / "bench" / "errors.toml").read_text().splitlines()):
        if line.startswith("# "):
            codes = rooms[line[2:]] = []
        else:
            codes.append(line.partition(" = ")[0])
    assert {room: codes for room, codes in rooms.items() if codes != sorted(codes)} == {}
    assert sorted(code for codes in rooms.values() for code in codes) == sorted(sentences())
    misplaced = [(code, where) for code, _, where in error_calls() if code not in rooms[room_of(where)]]
    assert misplaced == []


def room_of(where):
    """The room of a module, as headings of the catalogue name it."""
    top, part, *_ = where.partition(":")[0].split(".")
    if top != "bench":
        return top
    return part if (ROOT / "bench" / part).is_dir() and part != "defended" else "kernel"


def test_user_errors_are_raised_by_their_code():
    """A sentence in place of a code would have no code that callers can compare."""
    loose = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "UserError"
        and not (isinstance(node.args[0], ast.Constant) and node.args[0].value in sentences())
    ]
    assert loose == []
    assert set(REFUSED.values()) <= set(sentences())
