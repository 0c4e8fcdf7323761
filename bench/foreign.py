"""Whose an error is: other people's code fails in one sentence that says what was expected of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.errors import BenchError, UserError
from bench.machine.device import out_of_memory


@contextmanager
def blamed(expected: str, advice: str) -> Iterator[None]:
    """Around a call of other people's code: `expected {expected}, got {its error}; {advice}`.

    Arguments:
        expected: What it had to do.
        advice: What the user can do.

    Raises:
        UserError: It raised anything but an error of ours or a lack of memory, which pass.
    """
    try:
        yield
    except BenchError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        raise UserError(f"expected {expected}, got {type(error).__name__}: {error}; {advice}") from error
