"""Arguments of components: text and values, converted to the types of a signature."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, get_origin

from bench.errors import UserError
from bench.registry.registry import suggest

ROLES = {"score", "surrogate", "model", "x", "y", "threat", "noise", "data_dir", "run_dataset"}
"""Parameters that the harness sets, never the user."""


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
            raise UserError("argument-form", flag=flag, option=option)
        if key in pairs:
            raise UserError("argument-repeated", flag=flag, key=key)
        pairs[key] = value
    return pairs


def complete(function: Callable[..., Any], given: Mapping[str, Any], *, what: str, flag: str) -> dict[str, Any]:
    """The given arguments, converted to the types of the signature, and the defaults of all others.

    Arguments:
        function: The class or function with the signature.
        given: Text or values by name.
        what: Name of the component in errors.
        flag: Command-line flag in errors.

    Raises:
        UserError: An unknown argument, a value of the wrong type, or a missing value.
    """
    parameters = adjustable(function)
    for name in given:
        if name not in parameters:
            names = f"it takes {', '.join(parameters)}" if parameters else "it takes no arguments"
            raise UserError(
                "argument-unknown", component=what, name=name, near=suggest(name, list(parameters)), accepted=names
            )
    values = {}
    for name, parameter in parameters.items():
        if name in given:
            values[name] = _convert(given[name], parameter, f"{what} {flag} {name}=")
        elif parameter.default is inspect.Parameter.empty:
            raise UserError("argument-missing", component=what, flag=flag, name=name)
        else:
            values[name] = parameter.default
    return values


def adjustable(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a component that the user sets.

    Raises:
        UserError: The component has no signature.
    """
    return {name: parameter for name, parameter in _schema(function).items() if name not in ROLES}


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a signature has a parameter of this name."""
    return name in inspect.signature(function).parameters


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Argument values for JSON: tuples become lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def label(
    name: str, function: Callable[..., Any], values: Mapping[str, Any], fixed: Mapping[str, Any] | None = None
) -> str:
    """The name and the arguments that differ from the defaults: `dpsam rho=0`."""
    defaults = {key: parameter.default for key, parameter in _schema(function).items()} | dict(fixed or {})
    changed = [f"{key}={_text(value)}" for key, value in values.items() if value != defaults[key]]
    return " ".join([name, *changed])


def _schema(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        signature = inspect.signature(function, eval_str=True)
    except (NameError, AttributeError, TypeError):  # annotations that exist for type checkers only
        signature = inspect.signature(function)
    except ValueError as error:
        raise UserError("component-signature", function=function) from error
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
            "argument-value", where=where, name=name, value=value, problem=error.errors()[0]["msg"].lower()
        ) from error
    except PydanticUserError as error:
        raise UserError("argument-not-text", where=where, kind=kind, value=value) from error
    parts = converted if isinstance(converted, tuple) else (converted,)
    if any(isinstance(part, float) and not math.isfinite(part) for part in parts):
        raise UserError("argument-not-finite", where=where, value=value)
    return converted


def _prepare(value: Any, kind: Any) -> Any:
    """Reads fractions such as `8/255`, `none`, and tuples with commas."""
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
