"""The arguments of an object, read from its attributes."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from bench.objects.identity import state_sha256
from bench.objects.state import PLAIN

UNREADABLE = "unreadable"
"""Stands in a record for an argument that the object did not keep, or that is no number, text, list or tensor."""
_MISSING = object()
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def arguments_of(part: Any) -> dict[str, Any]:
    """The arguments of an object as JSON: fields of a dataclass, or arguments of its constructor that it keeps as attributes.

    Arguments:
        part: An object; a `functools.partial` gives its keywords, any other function nothing.
    """
    if isinstance(part, partial):
        return {name: _readable(value) for name, value in part.keywords.items()}
    return {name: _readable(_kept(part, name)) for name in parameters_of(type(part))}


def label_of(part: Any, values: Mapping[str, Any]) -> str:
    """The name of an object, and its readable arguments that differ from their defaults: `MyPurifier steps=4`.

    Arguments:
        part: The object.
        values: Its arguments, as `arguments_of` gives them.
    """
    defaults = {name: _readable(parameter.default) for name, parameter in parameters_of(type(part)).items()}
    changed = {name: value for name, value in values.items() if value != defaults.get(name, _MISSING)}
    words = [f"{name}={_text(value)}" for name, value in changed.items() if _short(value)]
    return " ".join([name_of(part), *words])


def name_of(part: Any) -> str:
    """The name of a function, or of the class of an object."""
    if isinstance(part, partial):
        return name_of(part.func)
    name = getattr(part, "__name__", None) or type(part).__name__
    return "lambda" if name == "<lambda>" else name


def parameters_of(kind: type) -> dict[str, inspect.Parameter]:
    """The named parameters of a class's constructor; none if it has no signature."""
    try:
        parameters = inspect.signature(kind).parameters
    except (ValueError, TypeError):
        return {}
    return {name: parameter for name, parameter in parameters.items() if parameter.kind in _NAMED}


def _kept(part: Any, name: str) -> Any:
    """The attribute of an argument; `_name` counts too."""
    for spelled in (name, f"_{name}"):
        value = getattr(part, spelled, _MISSING)
        if value is not _MISSING and not inspect.ismethod(value):
            return value
    return _MISSING


def _readable(value: Any) -> Any:
    """A value as JSON; a network or tensor by its kind and hash; `UNREADABLE` for anything else."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, PLAIN) and not isinstance(value, complex | bytes):
        return value
    if isinstance(value, list | tuple):
        return [_readable(inner) for inner in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _readable(inner) for key, inner in value.items()}
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)} {_short_hash(value)}"
    if isinstance(value, nn.Module):
        return f"{type(value).__name__} {_short_hash(value)}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"class": type(value).__name__} | arguments_of(value)
    return UNREADABLE


def _short_hash(value: Any) -> str:
    return str(state_sha256(value))[:12]


def _short(value: Any) -> bool:
    """Whether a value fits into a label: numbers, words, and short lists of numbers."""
    plain = isinstance(value, bool | int | float | str) and value != UNREADABLE and len(str(value)) <= 24
    return (plain and " " not in str(value)) or (
        isinstance(value, list) and len(value) <= 4 and all(map(_short, value))
    )


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
