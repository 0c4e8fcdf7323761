"""Whose an error is: other people's code fails in one sentence that says what was expected of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.errors import BenchError, UserError
from bench.machine.device import out_of_memory
from bench.machine.folder import kept_folder


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
