"""A record by what a user calls it: its id, the beginning of it, or its folder."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from bench.errors import UserError
from bench.files.documents import printable
from bench.files.links import check_inside
from bench.records.archive import unpacked

MOST_NAMED = 3
"""Ids that an error names."""


def find_record(results: Path, run: str) -> Path:
    """The folder of a record given by its path, its id or a unique prefix of it.

    Raises:
        UserError: None fits, or several do.
    """
    if (Path(run) / "run.json").is_file():
        return Path(run)
    if Path(run).is_file():
        raise UserError("record-packed", run=run, quoted=shlex.quote(run))
    paths = record_paths(results)
    fitting = [path for path in paths if run and path.name.startswith(run)]
    if len(fitting) != 1:
        raise _several(results, run, fitting) if fitting else _none(results, run, paths)
    return fitting[0]


def record_paths(results: Path) -> list[Path]:
    """The folders of all records below `results`, sorted; a folder that is only there as a zip file is unpacked first.

    Raises:
        UserError: A link below `results` leads out of it, or its zip file is damaged.
    """
    results = unpacked(results)
    root = results.resolve()
    paths = sorted(file.parent for file in results.glob("*/*/*/run.json"))
    for path in paths:
        check_inside(path, root)
    return paths


def results_of(path: Path) -> Path:
    """Folder of all records, in which the record of this folder lies: `<results>/<data set>/<threat>/<run id>`."""
    return (path if len(path.parents) > 2 else path.absolute()).parents[2]


def _none(results: Path, run: str, paths: Sequence[Path]) -> UserError:
    if run and Path(run).is_dir():
        return UserError("record-folder-without-run", run=run)
    if Path(run).suffix == ".zip" or any(separator in run for separator in (os.sep, os.altsep) if separator):
        return UserError("record-path-missing", run=run)
    if not paths:
        return UserError("record-results-empty", results=results, run=run)
    ids = [path.name for path in paths]
    if near := _near(run, ids):
        return UserError("record-misspelt", results=results, run=run, count=_count(ids), near=_named(near))
    return UserError("record-unknown", results=results, run=run, count=_count(ids), ids=_named(ids))


def _several(results: Path, run: str, fitting: Sequence[Path]) -> UserError:
    names = [path.name for path in fitting]
    return UserError("record-ambiguous", results=results, run=run, count=len(names), ids=_named(names))


def _near(run: str, ids: Sequence[str]) -> list[str]:
    """Ids whose beginnings of this length are nearly the same, the nearest first."""
    found = get_close_matches(run, sorted({name[: len(run)] for name in ids}), n=MOST_NAMED) if len(run) > 1 else []
    return [name for beginning in found for name in ids if name.startswith(beginning)]


def _count(ids: Sequence[str]) -> str:
    return f"{len(ids)} records" if len(ids) > 1 else "1 record"


def _named(ids: Sequence[str]) -> str:
    more = ", ..." if len(ids) > MOST_NAMED else ""
    return ", ".join(map(printable, ids[:MOST_NAMED])) + more
