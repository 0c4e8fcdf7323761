"""The code behind a component that is not built in: its own file, and those of the same project that it imports, however deep."""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

OURS = ("bench", "defenses", "attacks", "leaderboards", "purebench")


def source_sha256(module: ModuleType) -> str | None:
    """A hash of the code that a module is made of: that of its file where it imports no other of its project.

    Of a package that is every module of the package which an import statement names, wherever it stands; of a file that lies by itself, those beside it and in
    the working folder. Code that is found by other means than import statements is not seen, nor are files of data.

    Returns:
        None if the module has no file.
    """
    if not getattr(module, "__file__", None):
        return None
    own = Path(str(module.__file__)).resolve()
    files = sorted(_closure(own, _Project(module, own)) - {own})
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (own, *files)]
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


class _Project:
    """Where the modules lie that belong to the same project as a module.

    Arguments:
        module: The module.
        own: Its file.
    """

    def __init__(self, module: ModuleType, own: Path) -> None:
        parts = module.__name__.split(".")
        depth = len(parts) if own.name == "__init__.py" else len(parts) - 1
        self.package = parts[0] if depth else ""
        beside = [folder for folder in (own.parent, Path.cwd().resolve()) if not _is_library(folder)]
        self.roots = [own.parents[depth]] if self.package else beside

    def file_of(self, name: str) -> Path | None:
        """The file of a module of the project; None for all others."""
        top = name.partition(".")[0]
        if top in OURS or (top != self.package if self.package else top in sys.stdlib_module_names):
            return None
        for root in self.roots:
            path = root.joinpath(*name.split("."))
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file():
                    return file.resolve()
        return None

    def name_of(self, file: Path) -> list[str]:
        """The package that a file's relative imports start from, as names; empty where it lies in none."""
        root = next((root for root in self.roots if root in file.parents), None)
        return list(file.relative_to(root).parts[:-1]) if root else []


def _is_library(folder: Path) -> bool:
    libraries = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")}
    return folder in libraries or folder.name in ("site-packages", "dist-packages")


def _closure(own: Path, project: _Project) -> set[Path]:
    found, left, asked = {own}, [own], set[str]()
    while left:
        names = set(_imports(left.pop(), project)) - asked
        files = {file for name in names if (file := project.file_of(name))} - found
        asked |= names
        found |= files
        left += files
    return found


def _imports(file: Path, project: _Project) -> Iterator[str]:
    """Every module that an import statement may mean, with the packages above it."""
    for level, base, names in _statements(file.read_bytes()):
        for name in names:
            yield from _with_parents(".".join([*_start(file, project, level), *base, name]))


@cache
def _statements(code: bytes) -> tuple[tuple[int, tuple[str, ...], tuple[str, ...]], ...]:
    """The import statements of a module: the dots before, the module if one is named, and the names; the same bytes are parsed once."""
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return tuple((getattr(node, "level", 0), _base(node), tuple(alias.name for alias in node.names)) for node in nodes)


def _base(node: ast.Import | ast.ImportFrom) -> tuple[str, ...]:
    return (node.module,) if isinstance(node, ast.ImportFrom) and node.module else ()


def _start(file: Path, project: _Project, level: int) -> list[str]:
    names = project.name_of(file)
    return names[: len(names) - level + 1] if level else []


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[: k + 1]) for k in range(len(parts)))
