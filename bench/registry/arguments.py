"""Arguments of components: what a signature accepts, from text or from values."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, get_origin

from bench.errors import UserError
from bench.registry.registry import suggest

ROLES = {"score", "surrogate", "model", "x", "y", "threat", "noise", "data_dir", "run_dataset"}
"""Parameters that the harness fills, never the user."""


def parse_options(options: list[str], flag: str) -> dict[str, str]:
    """`["steps=4", ...]` as a dictionary.

    Raises:
        UserError: A text without `=`, or a key given twice.
    """
    pairs: dict[str, str] = {}
    for option in options:
        key, equals, value = option.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key.isidentifier():
            raise UserError(f"expected {flag} key=value, got {option!r}; write for example {flag} steps=4")
        if key in pairs:
            raise UserError(f"expected each argument once, got {flag} {key}= twice; drop one")
        pairs[key] = value
    return pairs


def complete(function: Callable[..., Any], given: Mapping[str, Any], *, what: str, flag: str) -> dict[str, Any]:
    """The given arguments in the types of the signature, with every default filled in.

    Arguments:
        function: A class or function whose keyword arguments are the schema.
        given: Text or values by name.
        what: What to call the component in errors.
        flag: The command-line flag to name in errors.

    Raises:
        UserError: An argument the signature does not have, a value of the wrong type, or a missing one.
    """
    parameters = adjustable(function)
    known = list(parameters)
    for name in given:
        if name not in known:
            names = f"it takes {', '.join(known)}" if known else "it takes no arguments"
            raise UserError(f"expected an argument of {what}, got {name!r}{suggest(name, known)}; {names}")
    values = {}
    for name in known:
        if name in given:
            values[name] = _convert(given[name], parameters[name], f"{what} {flag} {name}=")
        elif parameters[name].default is inspect.Parameter.empty:
            raise UserError(f"expected {what} to be given {flag} {name}=VALUE, got nothing; it has no default")
        else:
            values[name] = parameters[name].default
    return values


def adjustable(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a component that the user sets.

    Raises:
        UserError: It has no signature.
    """
    return {name: parameter for name, parameter in _schema(function).items() if name not in ROLES}


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a signature has a parameter of this name."""
    return name in inspect.signature(function).parameters


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Argument values as JSON: tuples become lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def label(
    name: str, function: Callable[..., Any], values: Mapping[str, Any], fixed: Mapping[str, Any] | None = None
) -> str:
    """The name followed by the arguments that differ from the defaults: `dpsam rho=0`."""
    defaults = {key: parameter.default for key, parameter in _schema(function).items()} | dict(fixed or {})
    changed = [f"{key}={_text(value)}" for key, value in values.items() if value != defaults[key]]
    return " ".join([name, *changed])


def _schema(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        signature = inspect.signature(function, eval_str=True)
    except (NameError, AttributeError, TypeError):  # annotations that exist for type checkers only
        signature = inspect.signature(function)
    except ValueError as error:
        raise UserError(
            f"expected a class or function with a signature, got {function!r}; write one around it"
        ) from error
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {name: parameter for name, parameter in signature.parameters.items() if parameter.kind in kinds}


def _convert(value: Any, parameter: inspect.Parameter, where: str) -> Any:
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    kind = parameter.annotation
    if isinstance(kind, str) or kind is inspect.Parameter.empty:
        kind = type(parameter.default) if parameter.default not in (None, inspect.Parameter.empty) else str
    prepared = _prepare(value, kind)
    try:
        converted = TypeAdapter(kind).validate_python(prepared)
    except ValidationError as error:
        name = getattr(kind, "__name__", str(kind)) if get_origin(kind) is None else str(kind)
        raise UserError(
            f"expected {where}{name}, got {value!r} ({error.errors()[0]['msg'].lower()}); correct the value"
        ) from error
    except PydanticUserError as error:
        raise UserError(
            f"expected {where}{kind}, which cannot be written as text, got {value!r}; leave it at its default"
        ) from error
    parts = converted if isinstance(converted, tuple) else (converted,)
    if any(isinstance(part, float) and not math.isfinite(part) for part in parts):
        raise UserError(f"expected {where}a finite number, got {value!r}; correct the value")
    return converted


def _prepare(value: Any, kind: Any) -> Any:
    """Text the way people write it: `8/255` for numbers, `none`, and commas between the parts of a tuple."""
    if not isinstance(value, str):
        return value
    if get_origin(kind) is tuple or kind is tuple:
        return tuple(_fraction(part.strip(), kind) for part in value.strip("[]").split(",") if part.strip())
    if value.lower() == "none" and kind is not str:
        return None
    return _fraction(value, kind)


def _fraction(value: str, kind: Any) -> float | str:
    if "float" in str(kind) and "/" in value:
        try:
            return float(Fraction(value))
        except (ValueError, ZeroDivisionError, OverflowError):
            return value
    return value


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
