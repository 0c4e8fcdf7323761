"""Permission to run code that is named in files of others: it runs only with `--allow-code`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.errors import UserError
from bench.registry.entry import KIND_OF, KINDS
from bench.registry.registry import Registry


def names_of(header: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All names that repeating a recorded run would look up, with their kinds.

    Arguments:
        header: The content of `run.json`.
    """
    parts: Mapping[str, Any] = header["spec"]
    names = [(kind, parts[role]["name"]) for role, kind in KIND_OF.items() if role != "dataset" and parts.get(role)]
    names.append(("datasets", header["labels"].get("dataset", parts["dataset"]["name"])))
    surrogate = parts["attack"]["args"].get("classifier")
    return names + ([("classifiers", surrogate)] if isinstance(surrogate, str) else [])


def code_of(registry: Registry, header: Mapping[str, Any]) -> list[str]:
    """The names of a recorded run that import code when it is repeated, even if their files are missing here.

    Arguments:
        registry: Resolves names.
        header: The content of `run.json`.
    """

    def is_code(kind: str, name: str) -> bool:
        try:
            return runs_code(registry, kind, name)
        except UserError:
            return bool(file_of(name))

    return list(dict.fromkeys(name for kind, name in names_of(header) if is_code(kind, name)))


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
            raise UserError(
                f"expected --allow-code for {asker}, which runs the code of its {KINDS[kind]} {name!r}, got none; read that code, then add --allow-code"
            )
