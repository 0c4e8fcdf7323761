"""Components given as objects in Python, under the name `python:CLASS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.registry.entry import Entry
from bench.registry.registry import PYTHON, Found


@dataclass(frozen=True, eq=False)
class Given(Found):
    """A component given as an object.

    Arguments:
        target: A class or a function that gives the object; for an attack, the function itself.
        values: The object's arguments, as far as they can be read; None if `target` still takes arguments.
        label: Its name in tables: the class and the arguments that differ from the defaults.
        sha256: Hash of its state, weights included; None without any.
        code: Hash of its code.
    """

    target: Any = None
    values: Mapping[str, Any] | None = None
    label: str = ""
    sha256: str | None = None
    code: str | None = None

    def load(self) -> Any:
        """The target."""
        return self.target

    def source_sha256(self) -> str | None:
        """Hash of the object's state."""
        return self.sha256


def given(kind: str, name: str, target: Any, **traits: Any) -> Given:
    """The component of an object.

    Arguments:
        kind: A key of `bench.registry.entry.KINDS`.
        name: Its class, or another short name for people.
        target: As in `Given`.
        traits: Other fields of `Given`.
    """
    return Given(kind, f"{PYTHON}:{name}", Entry(name, "given in Python"), PYTHON, target=target, **traits)
