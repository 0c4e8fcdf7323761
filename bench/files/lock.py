"""A file that one process at a time holds: the kernel lets go of it when its holder dies, whatever the death."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO


def hold(path: Path) -> BinaryIO | None:
    """Opens a file to append to, made if missing, and locks it until it is closed; None if another process holds it.

    The lock is `flock`'s: on a network file system it needs one that honours it across machines.

    Raises:
        OSError: The file cannot be opened, or is a symbolic link.
    """
    while True:
        number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        file = open(number, "a+b", buffering=0)  # noqa: SIM115 - held, and locked, until close
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except BaseException:
            file.close()
            raise
        if in_place(file, path):
            return file
        file.close()  # the last holder put another file in its place


def in_place(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is the one that lies at this path now."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(file.fileno()), there)
