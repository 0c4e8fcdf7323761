"""The one atomic write: a file is whole or absent, whatever the moment of a kill."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bench.errors import InterruptedRunError, UserError


def write_whole(target: Path, content: bytes | str) -> None:
    """Writes a file beside its place and renames it, so that it is whole or absent; its folder is made.

    Arguments:
        target: The file.
        content: Bytes, or text to be written as UTF-8.

    Raises:
        UserError: It cannot be written.
        InterruptedRunError: The disk is full.
    """
    try:
        with replacing(target) as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise unwritten(target.parent, error) from error


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `target` when the block ends and is removed if the block raises.

    Raises:
        OSError: It cannot be written.
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
    """Whether a write failed for want of space."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def unwritten(path: Path, error: OSError) -> Exception:
    """The error to raise where a file of a folder could not be written."""
    if full(error):
        return InterruptedRunError(
            f"expected space to write {path}, got a full disk; free some and repeat the same command: what is finished is kept"
        )
    return UserError(f"expected to write {path}, got: {error.strerror}; check the folder and repeat the same command")
