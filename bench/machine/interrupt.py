"""SIGINT and SIGTERM stop a command within seconds, even in code that ignores them."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

GRACE = 9.0
"""Seconds that a command has to stop cleanly."""
CODE = 3


@contextmanager
def stopping(last_words: str, grace: float = GRACE) -> Iterator[None]:
    """Context in which both signals raise KeyboardInterrupt; a command that runs on after `grace` exits with code 3.

    The exit is needed for code that swallows the exception and for C calls that do not return. It is safe, because
    files on disk are valid at any moment.

    Arguments:
        last_words: Line written to stderr before the exit.
        grace: Seconds from the signal to the exit.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    ended = Event()
    Thread(target=_watch, args=(ours, ended, last_words, grace), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(wakeup)
        theirs.close()
        signal.signal(signal.SIGTERM, before)


def _watch(signals: socket.socket, ended: Event, last_words: str, grace: float) -> None:
    """Waits for signals on the interpreter's wake-up socket, which works while the main thread runs C code."""
    with signals:
        while numbers := signals.recv(64):
            if set(numbers) & {signal.SIGINT, signal.SIGTERM} and not ended.wait(grace):
                sys.stderr.flush()
                os.write(2, (last_words + "\n").encode())
                os._exit(CODE)
