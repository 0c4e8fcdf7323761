"""Errors for the user: one sentence (expected, got, what to do) and an exit code."""

from __future__ import annotations


class BenchError(Exception):
    """Base of all errors that this package raises on purpose."""

    exit_code = 4


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
