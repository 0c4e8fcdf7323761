"""The plan of the house: the rooms, and who may import whom."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLAN = """kernel machine files stats registry text data models objects records figures plan claims run engines exchange
    compare verify suite gate audit doctor console interface cli testing leaderboards"""
ROOMS = PLAN.split()  # each imports from those before it
DOORS = {"bench", "bench.__main__", "bench.gate.plugin", "purebench"}  # the ways in, which may import everything
CLIENTS = {"attacks": {"kernel", "attacks", "stats"}, "defenses": {"kernel", "defenses", "stats"}}
WITHOUT_TORCH = ["files", "stats", "registry", "text", "records", "figures", "console", "cli"]
FILES = [file for top in ("bench", "attacks", "defenses", "leaderboards") for file in (ROOT / top).rglob("*.py")]


def name_of(file):
    return file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


def room(name):
    parts = name.split(".")
    return parts[0] if parts[0] != "bench" else parts[1] if parts[1:] and parts[1] in ROOMS else "kernel"


def imports(file, *, types):
    """Our own modules that a file imports; without `types`, not those that only a type checker imports."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    guards = [node for node in nodes if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    typed = {statement for guard in guards for statement in guard.body}
    for node in nodes if types else set(nodes) - typed:
        if isinstance(node, ast.Import | ast.ImportFrom):
            base = getattr(node, "module", None) or ""
            for alias in node.names:
                yield from [name for name in (f"{base}.{alias.name}".strip("."), base) if name in NAMES][:1]


NAMES = {name_of(file): file for file in FILES}


@pytest.mark.parametrize("name", sorted(NAMES.keys() - DOORS))
def test_a_room_imports_from_the_rooms_before_it(name):
    allowed = CLIENTS.get(room(name)) or ROOMS[: ROOMS.index(room(name)) + 1]
    found = {other for other in imports(NAMES[name], types=True) if room(other) not in allowed}
    assert found <= ({"bench.registry.entry"} if room(name) in CLIENTS else set())


def test_no_import_circle_and_no_crowded_folder():
    TopologicalSorter({name: {*imports(file, types=False)} - {name} for name, file in NAMES.items()}).prepare()
    assert [folder for folder in {file.parent for file in FILES} if len([*folder.glob("*.py")]) > 16] == []


@pytest.mark.parametrize("start", WITHOUT_TORCH)
def test_a_room_starts_without_torch(start):
    code = f"import sys, {', '.join(name for name in NAMES if room(name) == start)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
