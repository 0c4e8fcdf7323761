"""Atomic writes: after a crash, a file is complete or absent."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bench.errors import InterruptedRunError, UserError


def write_whole(target: Path, content: bytes | str) -> None:
    """Writes a file under a temporary name and renames it; its folder is made if missing.

    Arguments:
        target: The file.
        content: Bytes, or text that is encoded as UTF-8.

    Raises:
        UserError: The file cannot be written.
        InterruptedRunError: The disk is full.
    """
    try:
        with replacing(target) as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise unwritten(target.parent, error) from error


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Context with a file to write; it replaces `target` at the end, or is removed if the block raises.

    Raises:
        OSError: The file cannot be written.
    """
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")  # two processes may write the same file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def full(error: OSError) -> bool:
    """Whether a write failed because the disk is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def unwritten(path: Path, error: OSError) -> Exception:
    """The error to raise if a file in a folder could not be written."""
    if full(error):
        return InterruptedRunError("disk-full", path=path)
    return UserError("file-unwritable", path=path, error=error)
