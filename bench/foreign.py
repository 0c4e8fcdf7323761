"""Calls of foreign code: errors become one sentence for the user, and the working folder is restored."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.errors import BenchError, UserError

OUT_OF_MEMORY = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Words in the messages of memory errors that have no class of their own (CPU allocator, cuBLAS, cuDNN)."""
CHANGED_TO = "__purebench_folder__"
"""Module attribute with the folder that the module changed to on import."""


@contextmanager
def blamed(expected: str, advice: str | Callable[[], str]) -> Iterator[None]:
    """Context for a call of foreign code: its errors become `expected {expected}, got {error}; {advice}`.

    Arguments:
        expected: The task of the code.
        advice: What the user can do, or a function that finds out.

    Raises:
        UserError: The code raised an error. Errors of this package and memory errors are passed on unchanged.
    """
    try:
        with kept_folder():
            yield
    except BenchError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        what_to_do = advice if isinstance(advice, str) else advice()
        raise UserError(
            "foreign-code-failed", expected=expected, kind=type(error).__name__, error=error, advice=what_to_do
        ) from error


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on the CPU or on the GPU."""
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(word in text for word in OUT_OF_MEMORY)
    )


@contextmanager
def kept_folder() -> Iterator[None]:
    """Context for foreign code: restores the working folder afterwards."""
    before = _folder()
    try:
        yield
    finally:
        if before is not None and _folder() != before:
            os.chdir(before)


@contextmanager
def own_folder(target: Any) -> Iterator[None]:
    """Context for a call of foreign code: runs in the folder that its module changed to on import."""
    module = sys.modules.get(getattr(target, "__module__", None) or "")
    changed = getattr(module, CHANGED_TO, None)
    with kept_folder():
        if changed is not None:
            os.chdir(changed)
        yield


@contextmanager
def importing(name: str) -> Iterator[None]:
    """Context for the import of a module: restores the working folder, and remembers the module's for `own_folder`."""
    before = _folder()
    with kept_folder():
        yield
        if _folder() != before and name in sys.modules:
            setattr(sys.modules[name], CHANGED_TO, _folder())


def _folder() -> str | None:
    """The working folder; None if it no longer exists."""
    try:
        return os.getcwd()
    except OSError:
        return None
