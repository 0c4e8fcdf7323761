"""The cells of a suite that are asked for, and whether their names exist and may run code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.errors import UserError
from bench.registry.entry import KIND_OF
from bench.registry.registry import Registry
from bench.registry.trust import require_permission
from bench.suite.cells import Cell, cells_of, patterns_of
from bench.suite.file import SuiteFile

ALL = "all"
"""Stands for all images of a data set."""


def chosen(
    content: SuiteFile, path: Path, only: Sequence[str], samples: int | str | None, data_dir: Path | None
) -> list[Cell]:
    """The cells that fit all patterns.

    Arguments:
        content: The suite.
        path: Its file.
        only: Patterns `AXIS=PATTERN`.
        samples: Images of every cell, or `ALL`; None for what the file says.
        data_dir: Folder of data sets; None for what the file says.

    Raises:
        UserError: None fits.
    """
    patterns = patterns_of(list(only))
    cells = [cell for cell in cells_of(content, path) if cell.fits(patterns)]
    if not cells:
        raise UserError("suite-only-unmatched", path=path, only=" ".join(only))
    if samples is not None:
        cells = [replace(cell, samples=samples if isinstance(samples, int) else None) for cell in cells]
    return cells if data_dir is None else [replace(cell, data_dir=data_dir) for cell in cells]


def check_names(registry: Registry, cells: Sequence[Cell], file: str, *, allow_code: bool, keep_going: bool) -> None:
    """Refuses unknown names and code that is not allowed, before anything is loaded.

    Arguments:
        registry: Finds names.
        cells: The cells.
        file: The suite as the user named it.
        allow_code: Whether code that the file names by path or module may run.
        keep_going: Whether unknown names are left to the cells that have them.

    Raises:
        UserError: A name is unknown, or names code without permission.
    """
    names = dict.fromkeys((KIND_OF[axis], name) for cell in cells for axis, name in cell.names.items())
    for pair in names:
        try:
            registry.find(*pair)
        except UserError:
            if not keep_going:
                raise
        else:
            require_permission(registry, [pair], asker=f"the suite {file}", allowed=allow_code)
