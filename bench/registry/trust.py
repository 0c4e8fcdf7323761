"""Whose code runs: that of names in a file which somebody else may have written runs only when the user says so."""

from __future__ import annotations

from collections.abc import Iterable

from bench.errors import UserError
from bench.registry.entry import KINDS
from bench.registry.registry import Registry


def file_of(name: str) -> str:
    """The file that `path/file.py:object` names; empty for other names."""
    file = name.rpartition(":")[0]
    return file if file.endswith(".py") else ""


def runs_code(registry: Registry, kind: str, name: str) -> bool:
    """Whether a name is `module:object` or `path/file.py:object`, which imports and calls what it names.

    Raises:
        UserError: Nothing has this name.
    """
    return registry.find(kind, name).source == name


def require_permission(registry: Registry, names: Iterable[tuple[str, str]], *, asker: str, allowed: bool) -> None:
    """Refuses names that run code, unless that was allowed.

    Arguments:
        registry: What names stand for.
        names: Kinds of components and names.
        asker: What names them, such as `the suite FILE`.
        allowed: Whether `--allow-code` was given.

    Raises:
        UserError: A name runs code and that was not allowed, or nothing has this name.
    """
    for kind, name in names:
        if runs_code(registry, kind, name) and not allowed:
            raise UserError(
                f"expected --allow-code for {asker}, which runs the code of its {KINDS[kind]} {name!r}, got none; read that code, then add --allow-code"
            )
