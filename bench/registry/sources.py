"""The source files of a component that is not built in: its own, and those of its project that it imports."""

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
    """Hash of a module's file and of all files of its project that it imports, directly or indirectly.

    The project of a module in a package is this package; that of a single file is its folder and the working folder.
    Import statements anywhere in the code count; dynamic imports and data files do not.

    Returns:
        The hash of the file itself if it imports nothing of its project; None if the module has no file.
    """
    if not getattr(module, "__file__", None):
        return None
    own = Path(str(module.__file__)).resolve()
    files = sorted(_closure(own, _Project(module, own)) - {own})
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (own, *files)]
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


class _Project:
    """Finds the files of the modules that belong to the same project as a module.

    Arguments:
        module: The module.
        own: Its file.
    """

    def __init__(self, module: ModuleType, own: Path) -> None:
        parts = module.__name__.split(".")
        depth = len(parts) if own.name == "__init__.py" else len(parts) - 1
        self.package = parts[0] if depth else ""
        beside = [folder for folder in (own.parent, Path.cwd().resolve()) if not is_library(folder)]
        self.roots = [own.parents[depth]] if self.package else beside

    def file_of(self, name: str) -> Path | None:
        """The file of a module; None if it is not part of the project."""
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
        """The parts of the package of a file, for its relative imports; empty outside a package."""
        root = next((root for root in self.roots if root in file.parents), None)
        return list(file.relative_to(root).parts[:-1]) if root else []


def is_library(folder: Path) -> bool:
    """Whether a folder holds installed packages or the standard library."""
    libraries = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")}
    return folder in libraries or folder.name in ("site-packages", "dist-packages")


def _closure(own: Path, project: _Project) -> set[Path]:
    """A file and all files of its project that it imports, directly or indirectly."""
    found, left = {own}, [own]
    while left:
        files = {file for name in _imports(left.pop(), project) if (file := project.file_of(name))} - found
        found |= files
        left += files
    return found


def _imports(file: Path, project: _Project) -> Iterator[str]:
    """All modules that an import statement may mean, with their parent packages."""
    for level, base, names in _statements(file.read_bytes()):
        for name in names:
            yield from _with_parents(".".join([*_start(file, project, level), *base, name]))


@cache
def _statements(code: bytes) -> tuple[tuple[int, tuple[str, ...], tuple[str, ...]], ...]:
    """Import statements as (leading dots, module if any, names); cached, so that the same code is parsed once."""
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
