"""The forms in which objects come: how many arguments a function takes, factories, and objects of the wrong kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

from torch import nn

from bench.errors import UserError
from bench.foreign import blamed
from bench.objects.arguments import name_of

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def inputs_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The positional parameters of a function; one that stands for images if it has no signature or takes any number.

    Arguments:
        function: A function, or an object that can be called; a network counts by its `forward`.
    """
    called = function.forward if isinstance(function, nn.Module) else function
    images = inspect.Parameter("x", inspect.Parameter.POSITIONAL_ONLY)
    try:
        parameters = list(inspect.signature(called).parameters.values())
    except (ValueError, TypeError):
        return [images]
    found = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    anything = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    return found or ([images] if anything else [])


def is_factory(part: Any) -> bool:
    """Whether an object is a class, or a function without arguments that makes one."""
    if isinstance(part, type):
        return True
    return inspect.isroutine(part) and not inputs_of(part)


def made(part: Any, role: str, arguments: dict[str, Any]) -> Any:
    """The object itself, or what a factory makes of its arguments.

    Arguments:
        part: An object or a factory.
        role: The argument of the Python functions that it was given as.
        arguments: Arguments for a factory.

    Raises:
        UserError: The factory fails, or arguments are given for a finished object.
    """
    if not is_factory(part):
        if arguments:
            raise UserError("arguments-for-object", role=role, kind=type(part).__name__)
        return part
    with blamed(f"{name_of(part)} to make the object for {role}=", f"correct it, or give {role}_args="):
        return part(**arguments)


def refuse(role: str, part: Any, expected: str) -> NoReturn:
    """Raises `UserError` for an object of the wrong kind, with advice on the kinds that people mix up.

    Arguments:
        role: The argument that it was given as.
        part: The object.
        expected: What the argument takes.
    """
    raise UserError("object-kind", role=role, expected=expected, got=kind_of(part), advice=_advice(role, part))


def kind_of(part: Any) -> str:
    """`a list`, `an object of BertTokenizer`, `None`."""
    if part is None:
        return "None"
    kind = type(part)
    plain = kind.__module__ in ("builtins", "torch", "numpy")
    return (
        f"{'an' if kind.__name__[0] in 'aeiou' else 'a'} {kind.__name__}" if plain else f"an object of {kind.__name__}"
    )


def is_tokenizer(part: Any) -> bool:
    """Whether an object is a tokenizer of texts."""
    return any("Tokenizer" in kind.__name__ for kind in type(part).__mro__)


def _advice(role: str, part: Any) -> str:
    if is_tokenizer(part):
        return "a tokenizer is for texts; an image processor goes beside the model: classifier=(model, processor)"
    if isinstance(part, list | tuple):
        return "give one object; chain several in a function: lambda x: second(first(x))"
    if isinstance(part, dict):
        return "build the network and load these weights into it: model.load_state_dict(...)"
    return f"see the forms of {role}= in help(bench.evaluate)"
