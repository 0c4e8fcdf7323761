"""Hashes of an object: of the code that it runs, and of its state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

from torch import nn

from bench.objects.source import functions_of, globals_in, is_foreign, source_of
from bench.objects.state import PLAIN, State
from bench.registry.sources import source_sha256


def code_sha256(part: Any) -> str:
    """Hash of the code of an object: its class or function, and everything of the user's own that this calls or reads.

    Global functions, classes and values that the code names are followed; code of installed packages counts by its name.

    Arguments:
        part: A function, a class or an object.
    """
    return _digest(_Code().of(part))


def state_sha256(part: Any) -> str | None:
    """Hash of the attributes of an object: numbers, texts, tensors, networks, and objects inside it; None without any.

    Arguments:
        part: An object; a function or class, which has no state, gives None.
    """
    pieces = list(State(code_sha256).of(part))
    return _digest(pieces) if pieces else None


def _digest(pieces: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece if not isinstance(piece, str) else piece.encode())
        digest.update(b"\0")
    return digest.hexdigest()


class _Code:
    """Follows code from function to function, each once."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def of(self, part: Any) -> Iterator[str]:
        """The texts of a function, a class, or the class of an object."""
        if isinstance(part, partial):
            yield from self.of(part.func)
        elif isinstance(part, MethodType):
            yield from self.of(part.__func__)
        elif isinstance(part, FunctionType):
            yield from self._function(part)
        elif isinstance(part, type):
            yield from self._class(part)
        elif isinstance(part, nn.Module):
            for kind in dict.fromkeys(type(module) for module in part.modules()):
                yield from self._class(kind)
        else:
            yield from self._class(type(part))

    def _function(self, function: FunctionType) -> Iterator[str]:
        if id(function) in self.seen:
            return
        self.seen.add(id(function))
        if is_foreign(function):
            yield f"{function.__module__}.{function.__qualname__}"
            return
        yield source_of(function)
        yield from self._used(function)

    def _class(self, kind: type) -> Iterator[str]:
        if id(kind) in self.seen:
            return
        self.seen.add(id(kind))
        if is_foreign(kind):
            yield f"{kind.__module__}.{kind.__qualname__}"
            return
        yield kind.__name__
        for base in kind.__bases__:
            yield from self._class(base)
        for name, value in sorted(vars(kind).items()):
            if not name.startswith("__") and isinstance(value, PLAIN):
                yield f"{name} = {value!r}"
        for _, function in functions_of(kind):
            yield from self._function(function)

    def _used(self, function: FunctionType) -> Iterator[str]:
        """What the names in a function stand for."""
        cells = function.__closure__ or ()
        found = dict(zip(function.__code__.co_freevars, map(_content, cells), strict=True))
        found |= {
            name: function.__globals__[name] for name in globals_in(function.__code__) if name in function.__globals__
        }
        for name, value in sorted(found.items(), key=lambda item: item[0]):
            yield from self._value(name, value)

    def _value(self, name: str, value: Any) -> Iterator[str]:
        if isinstance(value, ModuleType):
            yield f"{name} {value.__name__ if is_foreign(value) else source_sha256(value)}"
        elif isinstance(value, FunctionType | MethodType | type | partial):
            yield from self.of(value)
        elif not name.startswith("__"):
            yield f"{name} {state_sha256(value)}"


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return None
