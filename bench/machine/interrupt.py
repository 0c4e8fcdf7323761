"""SIGINT and SIGTERM stop a command within seconds, whatever it is doing."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

GRACE = 9.0
"""Seconds that the command has to give up cleanly."""
CODE = 3


@contextmanager
def stopping(last_words: str, grace: float = GRACE) -> Iterator[None]:
    """Inside, both signals raise KeyboardInterrupt; where nobody heeds it in time, the process ends with code 3.

    The second way is for code that swallows the exception, and for calls into C that do not return. It is safe: what
    is on disk stands whatever the moment of a kill.

    Arguments:
        last_words: The line that is then written to stderr.
        grace: Seconds from the signal to the end.
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
    """Sleeps until a signal comes, by the interpreter's own wake-up, which needs no Python code in the main thread."""
    with signals:
        while numbers := signals.recv(64):
            if set(numbers) & {signal.SIGINT, signal.SIGTERM} and not ended.wait(grace):
                sys.stderr.flush()
                os.write(2, (last_words + "\n").encode())
                os._exit(CODE)
