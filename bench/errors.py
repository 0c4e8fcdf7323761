"""Errors for the user: one sentence (expected, got, what to do) and an exit code."""

from __future__ import annotations


class BenchError(Exception):
    """Base of all errors that this package raises on purpose.

    Printed as `expected EXPECTED, got GOT; DO`. An exception as `got` is printed after a colon, an `OSError` by its reason alone.

    Arguments:
        code: Short name of the error, such as `record-busy`; tests and callers compare this, since the wording may change.
        expected: What was expected, if the sentence has the form above.
        got: What was found instead.
        do: What the user can do about it.
    """

    exit_code = 4

    def __init__(self, code: str, *, expected: object = None, got: object = None, do: str = "") -> None:
        super().__init__(code)  # the only positional argument, so that the error survives pickling
        self.code, self.expected, self.got, self.do = code, expected, got, do

    def __str__(self) -> str:
        if self.expected is None:
            return self.code
        reason = self.got.strerror if isinstance(self.got, OSError) and self.got.strerror else self.got
        got = f"got: {reason}" if isinstance(self.got, BaseException) else f"got {self.got}"
        return f"expected {self.expected}, {got}" + (f"; {self.do}" if self.do else "")


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
