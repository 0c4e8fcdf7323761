"""What can go wrong, as one sentence and an exit code: expected, got, what to do."""

from __future__ import annotations


class BenchError(Exception):
    """Base of all errors that this package raises on purpose; its text is one sentence for the user."""

    exit_code = 4


class UserError(BenchError):
    """The user's input was wrong: exit code 2."""

    exit_code = 2


class NoGradientError(UserError):
    """Gradients were asked for of a classifier that has none."""


class CoupledError(UserError):
    """A defense gives an image another result at another batch size."""


class GateError(BenchError):
    """A gate, audit or verification failed although the run itself worked: exit code 1."""

    exit_code = 1


class InterruptedRunError(BenchError):
    """The run stopped early and the same command goes on where it stopped: exit code 3."""

    exit_code = 3


class AttackError(BenchError):
    """An attack broke its contract: it left the ball or [0, 1], or returned a wrong shape."""


class BusyError(UserError):
    """Another process is writing the record."""


class WorkerError(BenchError):
    """A worker was lost or did not answer, again and again."""
