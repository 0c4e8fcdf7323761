"""The source text of functions and classes, also of notebook cells and lambdas."""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from bench.registry.sources import OURS, is_library


def source_of(function: FunctionType) -> str:
    """The text of a function, without its indentation; its bytecode if there is no text, as in an old interactive session."""
    try:
        return _lambda(function) if function.__name__ == "<lambda>" else textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError, SyntaxError, LookupError):
        return "\n".join(_bytecode(function.__code__))


def functions_of(kind: type) -> Iterator[tuple[str, FunctionType]]:
    """The functions in the body of a class that have a text: methods, properties, class and static methods."""
    for name, member in sorted(vars(kind).items()):
        inner = getattr(member, "__func__", None) or getattr(member, "func", None) or member
        parts = (inner.fget, inner.fset) if isinstance(inner, property) else (inner,)
        for part in parts:
            if isinstance(part, FunctionType) and not part.__code__.co_filename.startswith("<string>"):
                yield name, part  # those in <string> are generated, as by a dataclass


def globals_in(code: CodeType) -> set[str]:
    """All global names that a code reads, also in the functions inside it."""
    names = {part.argval for part in dis.get_instructions(code) if part.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return names.union(*map(globals_in, inner))


def is_foreign(part: Any) -> bool:
    """Whether a class, function or module comes from an installed package or from this one; its name says which code it is."""
    name = str(getattr(part, "__module__", None) or getattr(part, "__name__", ""))
    top = name.partition(".")[0]
    if top in OURS or top in sys.stdlib_module_names or top == "builtins":
        return top != "__main__"
    file = getattr(sys.modules.get(name), "__file__", None)
    return bool(file) and any(map(is_library, Path(str(file)).resolve().parents))


def _lambda(function: FunctionType) -> str:
    """The text of a lambda alone: the line around it may change without it."""
    text = "".join(linecache.getlines(function.__code__.co_filename))
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda)]
    here = [node for node in nodes if node.lineno == function.__code__.co_firstlineno]
    same = [node for node in here if _same(node, function.__code__)]
    return "\n".join(dict.fromkeys(ast.unparse(node) for node in same or here)) or "\n".join(
        _bytecode(function.__code__)
    )


def _same(node: ast.Lambda, code: CodeType) -> bool:
    compiled = compile(ast.Expression(node), "<lambda>", "eval")
    return any(isinstance(part, CodeType) and part.co_code == code.co_code for part in compiled.co_consts)


def _bytecode(code: CodeType) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _bytecode(constant)
        else:
            yield repr(constant)
