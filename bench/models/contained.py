"""Finds the networks that an object holds."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from torch import nn

DEEPEST = 4
"""Levels of nested objects that are searched."""


def networks_in(part: Any, depth: int = DEEPEST, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The networks in an object's attributes, lists and mappings, each with the path to it.

    Arguments:
        part: A network, or an object that may hold some.
        depth: Levels of nested objects that are searched.
        path: Prefix of the paths.
    """
    if isinstance(part, nn.Module):
        yield path, part
        return
    if not depth or isinstance(part, str | bytes):
        return
    for name, value in _members(part):
        yield from networks_in(value, depth - 1, f"{path}.{name}")


def networks_behind(function: Any) -> list[nn.Module]:
    """The networks that a callable object or a plain function uses, each once."""
    found = [network for part in _used(function) for _, network in networks_in(part)]
    return list({id(network): network for network in found}.values())


def _members(part: Any) -> list[tuple[Any, Any]]:
    if isinstance(part, Mapping):
        return list(part.items())
    if isinstance(part, list | tuple | set):
        return list(enumerate(part))
    return list(getattr(part, "__dict__", {}).items())


def _used(function: Any) -> list[Any]:
    """Objects that a callable uses: closure and globals of a function, owner of a method, arguments of a partial call; else itself."""
    if isinstance(function, partial):
        return [*_used(function.func), *function.args, *function.keywords.values()]
    if isinstance(function, MethodType):
        return [function.__self__]
    if not isinstance(function, FunctionType):
        return [function]
    seen = inspect.getclosurevars(function)
    return [*seen.nonlocals.values(), *(value for value in seen.globals.values() if isinstance(value, nn.Module))]
