"""A list of finished cells in the user's cache, so that nothing has to be loaded for them.

An entry is valid only while the code that planned the cell, the files that it names and the record's files are unchanged.
Every other cell is planned again. Losing the list costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

import bench
from bench.files.atomic import replacing
from bench.records.spec import canonical
from bench.registry.entry import KIND_OF
from bench.registry.registry import Registry, own_package
from bench.suite.cells import Cell

PACKAGES = ("bench", "defenses", "attacks")
FILES = ("run.json", "samples.jsonl", "SHA256SUMS")
FILE_FAMILIES = ("npz", "weights")
MOST_STALE = 10_000


@dataclass(frozen=True)
class Figures:
    """The figures of a record that the list keeps.

    Arguments:
        run_id: The run's id.
        path: The record's folder.
        n: Number of images.
        clean: Clean accuracy.
        robust: Robust accuracy: value, lower and upper end of its 95 % interval.
    """

    run_id: str
    path: str
    n: int
    clean: float
    robust: tuple[float, float, float]


class FinishedCells:
    """The list for one results folder.

    Arguments:
        results: The folder of all records.
        registry: Finds names.
    """

    def __init__(self, results: Path, registry: Registry) -> None:
        self.results, self.registry = results, registry
        name = hashlib.sha256(str(results.resolve()).encode()).hexdigest()[:16]
        self.file = user_cache_path("purebench") / "suites" / f"{name}.jsonl"
        read = list(self._read())
        self.entries: dict[str, dict[str, Any]] = {entry["cell"]: entry for entry in read}
        if len(read) > MOST_STALE + 2 * len(self.entries):
            self._compact()

    def find(self, cell: Cell) -> Figures | None:
        """The figures of a finished cell; None if the list has no valid entry."""
        entry = self.entries.get(_key(cell))
        if entry is None or entry["parts"] != self._parts(cell):
            return None
        try:
            path = self.results / entry["figures"]["path"]
            if entry["record"] != _record(path):
                return None
            return Figures(**{**entry["figures"], "path": path.as_posix(), "robust": tuple(entry["figures"]["robust"])})
        except (KeyError, TypeError, OSError):
            return None

    def add(self, cell: Cell, figures: Figures) -> None:
        """Adds a finished cell; does nothing if the cache cannot be written."""
        parts = self._parts(cell)
        if parts is None:
            return
        figures = Figures(**{**asdict(figures), "path": os.path.relpath(figures.path, self.results)})
        with contextlib.suppress(OSError):
            entry = {
                "cell": _key(cell),
                "parts": parts,
                "record": _record(self.results / figures.path),
                "figures": asdict(figures),
            }
            self.entries[_key(cell)] = json.loads(canonical(entry))
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with open(self.file, "ab", buffering=0) as file:
                file.write((canonical(entry) + "\n").encode())

    def _read(self) -> Iterator[dict[str, Any]]:
        try:
            texts = self.file.read_bytes().splitlines()
        except OSError:
            return
        for text in texts:
            with contextlib.suppress(ValueError, RecursionError):
                entry = json.loads(text)
                if isinstance(entry, dict) and isinstance(entry.get("cell"), str):
                    yield entry

    def _compact(self) -> None:
        """Drops lines that later ones replaced."""
        with contextlib.suppress(OSError), replacing(self.file) as file:
            file.write("".join(canonical(entry) + "\n" for entry in self.entries.values()).encode())

    def _parts(self, cell: Cell) -> list[Any] | None:
        """Everything beside the cell's text that its run id depends on; None if only loading can tell."""
        stamps: list[Any] = [_code()]
        for axis, kind in KIND_OF.items():
            stamp = self._stamp(kind, cell.names.get(axis))
            if stamp is None:
                return None
            stamps.append(stamp)
        return None if _mentions_files(cell) else stamps

    def _stamp(self, kind: str, name: str | None) -> list[Any] | None:
        if name is None:
            return []
        family, colon, path = name.partition(":")
        if colon and family in FILE_FAMILIES and kind != "defenses":
            return [_stat(Path(path)), _stat(Path(path).with_suffix(".json"))]
        if colon or self.registry.find(kind, name).source != "built-in":
            return None
        return [] if kind != "datasets" or (Path(bench.__file__).parent / "data" / name).is_dir() else None


def _key(cell: Cell) -> str:
    return hashlib.sha256(repr(cell).encode()).hexdigest()[:24]


def _mentions_files(cell: Cell) -> bool:
    texts = (str(value) for given in cell.arguments.values() for value in given.values())
    return any(
        (os.sep in text and not text.replace("/", "").replace(".", "").isdigit()) or ":" in text for text in texts
    )


def _record(path: Path) -> list[Any]:
    """Sizes and times of the files of a complete record, which change with the record."""
    stamps = [_stat(path / name) for name in FILES]
    if None in stamps:
        raise FileNotFoundError(path)
    return stamps


def _stat(file: Path) -> list[int] | None:
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


@cache
def _code() -> str:
    """A hash of the sizes and times of all our source files, and of the releases of other packages."""
    digest = hashlib.sha256()
    for name in PACKAGES:
        root = Path(str(own_package(name, "__doc__").__file__)).parent
        for file in sorted(root.rglob("*.*")):
            if file.suffix != ".pyc":
                digest.update(f"{file}{_stat(file)}".encode())
    for package in ("torch", "pyautoattack", "robustbench", "torchattacks", "diffusers"):
        with contextlib.suppress(PackageNotFoundError):
            digest.update(f"{package}{version(package)}".encode())
    return digest.hexdigest()[:24]
