"""Resolves names to components: tables, entry points, `module:object` and `path/file.py:object`."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.errors import UserError
from bench.foreign import importing
from bench.registry.entry import ARGUMENTS, KINDS, Entry
from bench.registry.sources import source_sha256

PYTHON = "python"
"""Prefix of the names of objects that were given in Python: `python:MyPurifier`."""


@dataclass(frozen=True)
class Found:
    """A resolved name; its component is not imported yet."""

    kind: str
    name: str
    entry: Entry
    source: str

    @property
    def shown(self) -> str:
        """The name in tables: without the prefix of objects."""
        return self.name.removeprefix(f"{PYTHON}:")

    def load(self) -> Any:
        """Imports the component.

        Raises:
            UserError: The module or its object does not exist, or the import fails.
        """
        module, _, attribute = self.entry.target.rpartition(":")
        if self.source != "built-in" and os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())  # as `python -m` would, but last
        try:
            target: Any = _import(module)
            for part in attribute.split("."):
                target = _member(target, part, f"the {KINDS[self.kind]} {self.name!r}")
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise UserError(
                "component-import-failed",
                component=KINDS[self.kind],
                name=self.name,
                kind=type(error).__name__,
                error=error,
                target=self.entry.target,
            ) from error
        return target(self.name.partition(":")[2]) if self.entry.family else target

    def load_training(self) -> Any:
        """Imports the function that returns a data set's training images and labels; None if it has none."""
        if not self.entry.training:
            return None
        return replace(self, entry=replace(self.entry, target=self.entry.training)).load()

    def source_sha256(self) -> str | None:
        """Hash of the code of a component that is not built in: other code is another run. None for built-in ones."""
        return None if self.source == "built-in" else source_sha256(_import(self.entry.target.rpartition(":")[0]))


class Registry:
    """All components that can be named on the command line.

    Arguments:
        tables: For each kind in `KINDS`, the built-in table.
        objects: Components that were given as objects in Python.
    """

    def __init__(self, tables: Mapping[str, Mapping[str, Entry]], objects: Iterable[Found] = ()) -> None:
        self.tables = tables
        self.objects = {(found.kind, found.name): found for found in objects}

    def find(self, kind: str, name: str) -> Found:
        """Resolves a name without importing the component.

        Raises:
            UserError: The name is unknown; close names are suggested.
        """
        if is_object(name):
            return self._object(kind, name)
        table = self.tables[kind]
        if name in table and not table[name].parameter:
            return Found(kind, name, table[name], "built-in")
        if point := self._points(kind).get(name):
            entry = Entry(point.value, point.dist.name if point.dist else "entry point")
            return Found(kind, name, entry, f"entry point {point.value}")
        family, colon, rest = name.partition(":")
        if colon and family in table and table[family].parameter:
            entry = table[family]
            fixed = {} if entry.family else {entry.parameter: rest}
            return Found(kind, name, replace(entry, args={**entry.args, **fixed}, parameter=""), "built-in")
        if colon:
            return _by_path(kind, name)
        raise self._unknown(kind, name)

    def _object(self, kind: str, name: str) -> Found:
        if (kind, name) in self.objects:
            return self.objects[kind, name]
        short, role = name.partition(":")[2], ARGUMENTS[kind]
        file = "npz:FILE" if role == "data" else f"FILE.py:{short}"
        raise UserError(
            "object-not-here", component=KINDS[kind], name=short, role=role, option=role.replace("_", "-"), file=file
        )

    def all(self, kind: str) -> list[Found]:
        """All named components of a kind: the built-in ones, then entry points."""
        table = self.tables[kind]
        points = [self.find(kind, name) for name in self._points(kind) if name not in table]
        return [Found(kind, _spelled(name, entry), entry, "built-in") for name, entry in table.items()] + points

    def members(self, kind: str) -> list[Found]:
        """The members of those families of a kind whose names are known."""
        return [
            Found(kind, f"{family}:{name}", replace(entry, summary=summary), "built-in")
            for family, entry in self.tables[kind].items()
            if entry.members
            for name, summary in _object(entry.members).items()
        ]

    def _points(self, kind: str) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=f"purebench.{kind}")}

    def _unknown(self, kind: str, name: str) -> UserError:
        known = [found.name for found in self.all(kind)]
        close = near(name, known + [found.name for found in self.members(kind)])
        if name.endswith(".py"):
            return UserError("component-object-missing", component=_one(kind), name=name)
        hint = f"did you mean {' or '.join(close)}?" if close else f"the names are {', '.join(known)}"
        listed = kind.replace("_", "-")
        return UserError("component-unknown", component=_one(kind), name=name, hint=hint, kind=listed)


def is_object(name: str) -> bool:
    """Whether a name is that of an object given in Python."""
    return name.startswith(f"{PYTHON}:")


def _by_path(kind: str, name: str) -> Found:
    """The component `module:object` or `path/file.py:object`."""
    module, _, attribute = name.rpartition(":")
    if not attribute or not module:
        raise UserError("component-form", component=_one(kind), name=name)
    if module.endswith(".py") and not Path(module).is_file():
        raise UserError("component-file-missing", component=KINDS[kind], name=name, module=module)
    return Found(kind, name, Entry(name, "given by its path"), name)


def _member(owner: Any, name: str, wanted: str) -> Any:
    """An attribute of a module or a class; the error for a missing one lists those that exist."""
    if hasattr(owner, name):
        return getattr(owner, name)
    home = getattr(owner, "__name__", None)
    own = [word for word, value in getattr(owner, "__dict__", {}).items() if getattr(value, "__module__", "") == home]
    hint = f"{suggest(name, own)}; it has {', '.join(own[:10])}{', ...' if len(own) > 10 else ''}" if own else ""
    raise UserError("component-object-unknown", wanted=wanted, name=name, hint=hint)


def _one(kind: str) -> str:
    return f"{'an' if KINDS[kind][0] in 'aeiou' else 'a'} {KINDS[kind]}"


def _spelled(name: str, entry: Entry) -> str:
    return f"{name}:{entry.parameter.upper()}" if entry.parameter else name


def suggest(name: str, known: list[str]) -> str:
    """` (did you mean ...?)` if a known name is close, else an empty text."""
    close = near(name, known, most=1)
    return f" (did you mean {close[0]}?)" if close else ""


def near(name: str, known: list[str], *, most: int = 3) -> list[str]:
    """Known names that start with `name`, in their order, then similar ones, the closest first."""
    longer = [other for other in known if name and other.startswith(name)]
    similar = [other for other in difflib.get_close_matches(name, known, n=most, cutoff=0.5) if other not in longer]
    return (longer + similar)[:most]


def _object(target: str) -> Any:
    module, _, attribute = target.rpartition(":")
    return getattr(importlib.import_module(module), attribute)


def own_package(name: str, attribute: str) -> ModuleType:
    """Imports one of this distribution's packages.

    Raises:
        UserError: A foreign package of the same name was imported instead.
    """
    module = importlib.import_module(name)
    if not hasattr(module, attribute):
        raise UserError("package-foreign", name=name, origin=getattr(module, "__file__", None) or list(module.__path__))
    return module


def _import(module: str) -> ModuleType:
    if not module.endswith(".py"):
        with importing(module):
            return importlib.import_module(module)
    path = Path(module).resolve()
    name = f"purebench_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise UserError("python-file-missing", module=module)
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded
        try:
            with importing(name):
                spec.loader.exec_module(loaded)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
