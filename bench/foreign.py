"""Whose an error is: other people's code fails in one sentence that says what was expected of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.errors import BenchError, UserError

OUT_OF_MEMORY = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What the messages of errors say that have no class of their own."""
CHANGED_TO = "__purebench_folder__"
"""The attribute of a module that keeps the folder it changed to on import."""


@contextmanager
def blamed(expected: str, advice: str | Callable[[], str]) -> Iterator[None]:
    """Around a call of other people's code: `expected {expected}, got {its error}; {advice}`.

    Arguments:
        expected: What it had to do.
        advice: What the user can do, or a function that finds it out.

    Raises:
        UserError: It raised anything but an error of ours or a lack of memory, which pass.
    """
    try:
        with kept_folder():
            yield
    except BenchError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        told = advice if isinstance(advice, str) else advice()
        raise UserError(f"expected {expected}, got {type(error).__name__}: {error}; {told}") from error


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: CUDA's, or those that have no class of their own (the CPU's allocator, cuBLAS, cuDNN)."""
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(word in text for word in OUT_OF_MEMORY)
    )


@contextmanager
def kept_folder() -> Iterator[None]:
    """Around other people's code: relative paths mean afterwards what they meant before."""
    before = _folder()
    try:
        yield
    finally:
        if before is not None and _folder() != before:
            os.chdir(before)


@contextmanager
def own_folder(target: Any) -> Iterator[None]:
    """Around a call of other people's code: in the folder that its module changed to on import, which it may count on."""
    module = sys.modules.get(getattr(target, "__module__", None) or "")
    changed = getattr(module, CHANGED_TO, None)
    with kept_folder():
        if changed is not None:
            os.chdir(changed)
        yield


@contextmanager
def importing(name: str) -> Iterator[None]:
    """Around the import of a module: keeps the folder that it changes to for `own_folder`."""
    before = _folder()
    with kept_folder():
        yield
        if _folder() != before and name in sys.modules:
            setattr(sys.modules[name], CHANGED_TO, _folder())


def _folder() -> str | None:
    """The working folder; None if it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return None
