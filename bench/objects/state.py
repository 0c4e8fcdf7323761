"""The state of an object as bytes: numbers, texts, tensors and networks in its attributes, never an address."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from fractions import Fraction
from functools import partial
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.models.fingerprint import parts_of
from bench.objects.source import is_foreign

PLAIN = (type(None), bool, int, float, complex, str, bytes)
"""Types whose `repr` is their value."""
_SPELLED = (*PLAIN, torch.dtype, torch.device, torch.Size, Enum, Fraction, PurePath, slice, range)
DEEPEST = 8
"""Levels of nested objects that are looked at."""
_OF_NETWORKS = {*vars(nn.Module()), "training"}
"""Attributes that every network has: its tensors and inner networks, which are looked at apart, and its mode, which runs set."""


class State:
    """Walks through the values of an object.

    Arguments:
        code: Gives the hash of a function's or a class's code.
    """

    def __init__(self, code: Callable[[Any], str]) -> None:
        self.code = code
        self.above: list[int] = []

    def of(self, value: Any, path: str = "") -> Iterator[Any]:
        """The pieces of a value, texts and bytes, each text with its path; none for a function or class that stands alone.

        Arguments:
            value: The value.
            path: Its place in the object.
        """
        if isinstance(value, _SPELLED):
            yield f"{path} {value!r}"
        elif isinstance(value, Tensor | np.ndarray | np.generic):
            yield from parts_of(path, value)
        elif isinstance(value, type | FunctionType):
            yield from [f"{path} {self.code(value)}"] if path else []
        elif isinstance(value, ModuleType | BuiltinFunctionType):
            yield f"{path} {getattr(value, '__qualname__', value.__name__)}"
        elif id(value) not in self.above and len(self.above) < DEEPEST:
            self.above.append(id(value))
            yield from self._inside(value, path)
            self.above.pop()

    def _inside(self, value: Any, path: str) -> Iterator[Any]:
        own = not is_foreign(type(value))
        if path:
            yield f"{path} {type(value).__qualname__}"
        if path and own and not isinstance(value, nn.Module):
            yield f"{path} {self.code(type(value))}"
        for key, inner in _network(value) if isinstance(value, nn.Module) else _members(value, own):
            yield from self.of(inner, f"{path}.{key}")


def _network(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Tensors of a network, kinds of its layers, and their other attributes."""
    yield from network.state_dict().items()
    yield from ((f"buffer {name}", tensor) for name, tensor in network.named_buffers())  # some are not in its state
    for name, module in network.named_modules():
        own = not is_foreign(type(module))
        yield f"{name} kind", type(module).__qualname__
        for key, inner in sorted(vars(module).items()):
            if key not in _OF_NETWORKS and (own or not key.startswith("_")):
                yield f"{name} {key}", inner


def _members(value: Any, own: bool) -> list[tuple[Any, Any]]:
    """The items, arguments or attributes of an object, in an order of their own."""
    if isinstance(value, Mapping):
        return sorted(((repr(key), inner) for key, inner in value.items()), key=lambda item: item[0])
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if isinstance(value, set | frozenset):
        return list(enumerate(sorted(value, key=repr)))
    if isinstance(value, partial):
        return [("args", value.args), ("keywords", value.keywords), ("func", value.func)]
    if isinstance(value, MethodType):
        return [("self", value.__self__)]
    if type(value).__module__.partition(".")[0] in sys.stdlib_module_names - {"__main__"}:
        return []  # such as a logger, which leads to every other one
    slots = {name: getattr(value, name) for name in getattr(type(value), "__slots__", ()) if hasattr(value, name)}
    named = {**slots, **getattr(value, "__dict__", {})}
    return sorted((name, inner) for name, inner in named.items() if own or not name.startswith("_"))
