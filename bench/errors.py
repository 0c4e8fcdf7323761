"""Errors for the user: a code, one sentence (expected, got, what to do) and an exit code."""

from __future__ import annotations

import string
import sys
from collections.abc import Mapping, Sequence, Set
from functools import cache
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class BenchError(Exception):
    """Base of all errors that this package raises on purpose.

    Arguments:
        code: Key of a sentence in `errors.toml`, such as `record-busy`. Callers compare this, since wording may change.
            A text that is no key is the sentence itself, and its code is empty.
        values: Values of the placeholders in the sentence. Texts in a list, a tuple, a set or the keys of a table are
            joined by commas; an `OSError` is printed by its reason alone. `{name!r}` prints a value as it is.
    """

    exit_code = 4

    def __init__(self, code: str, **values: object) -> None:
        template = sentences().get(code)
        self.code = "" if template is None else code
        self.message = code if template is None else _Sentence().format(template, **values)
        super().__init__(self.message)  # an error is pickled by its message, and gets its code back from `__dict__`

    def __str__(self) -> str:
        return self.message


class UserError(BenchError):
    """The user's input was wrong: exit code 2."""

    exit_code = 2


class NoGradientError(UserError):
    """Gradients were requested from a classifier that has none."""


class CoupledError(UserError):
    """A defense's result for an image depends on the batch size."""


class GateError(BenchError):
    """A gate, audit or verification failed: exit code 1."""

    exit_code = 1


class InterruptedRunError(BenchError):
    """The run stopped early; the same command resumes it: exit code 3."""

    exit_code = 3


class AttackError(BenchError):
    """An attack broke its contract: it left the ball or [0, 1], or returned a wrong shape."""


class BusyError(UserError):
    """Another process is writing the record."""


class WorkerError(BenchError):
    """A worker was lost or did not answer, even after retries."""


@cache
def sentences() -> dict[str, str]:
    """The sentence of each code, with named placeholders for `str.format`."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


class _Sentence(string.Formatter):
    """Formats sentences; values that `!r` or `!s` has made a text are printed as they are."""

    def format_field(self, value: object, format_spec: str) -> str:
        if isinstance(value, OSError):
            return value.strerror or str(value)
        if isinstance(value, (Sequence, Set, Mapping)) and not isinstance(value, str):
            texts = [item for item in value if isinstance(item, str)]
            if texts and len(texts) == len(value):
                return ", ".join(texts)
        return str(super().format_field(value, format_spec))
