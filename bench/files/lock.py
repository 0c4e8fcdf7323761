"""File locks: one process at a time; the kernel releases the lock when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO


def hold(path: Path) -> BinaryIO | None:
    """Opens a file for appending and locks it until it is closed; None if another process holds the lock.

    The file is made if missing. The lock is `flock`'s; across machines it needs a network file system that supports it.

    Raises:
        OSError: The file cannot be opened, or is a symbolic link.
    """
    while True:
        number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        file = open(number, "a+b", buffering=0)  # noqa: SIM115 - the lock lasts until close
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
        file.close()  # the last holder replaced the file


def in_place(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is still the one at this path."""
    try:
        current = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(file.fileno()), current)
