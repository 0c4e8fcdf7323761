"""The progress of Python functions: shown in terminals and notebooks, silent elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.console.progress import Progress
from bench.run.runner import Reporter, Silent


@contextmanager
def reporter(wanted: bool | None) -> Iterator[Reporter]:
    """Gives the reporter of a run.

    Arguments:
        wanted: Whether to show the progress; None for terminals and notebooks.
    """
    if not is_shown(wanted):
        yield Silent()
        return
    with Progress(quiet=False) as progress:
        yield progress


def is_shown(wanted: bool | None) -> bool:
    """Whether progress is shown: if wanted, and by default in terminals and notebooks."""
    return (sys.stderr.isatty() or in_notebook()) if wanted is None else wanted


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
