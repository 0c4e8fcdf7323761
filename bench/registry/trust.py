"""Permission to run code that is named in files of others: it runs only with `--allow-code`."""

from __future__ import annotations

from collections.abc import Iterable

from bench.errors import UserError
from bench.registry.entry import KINDS
from bench.registry.registry import Registry


def file_of(name: str) -> str:
    """The file in `path/file.py:object`; empty for other names."""
    file = name.rpartition(":")[0]
    return file if file.endswith(".py") else ""


def runs_code(registry: Registry, kind: str, name: str) -> bool:
    """Whether a name is `module:object` or `path/file.py:object`, so that resolving it imports and calls code.

    Raises:
        UserError: The name is unknown.
    """
    return registry.find(kind, name).source == name


def require_permission(registry: Registry, names: Iterable[tuple[str, str]], *, asker: str, allowed: bool) -> None:
    """Refuses names that run code, unless it is allowed.

    Arguments:
        registry: Resolves names.
        names: Kinds of components and names.
        asker: The source of the names, such as `the suite FILE`.
        allowed: Whether `--allow-code` was given.

    Raises:
        UserError: A name runs code without permission, or is unknown.
    """
    for kind, name in names:
        if runs_code(registry, kind, name) and not allowed:
            raise UserError("code-not-allowed", asker=asker, component=KINDS[kind], name=name)
