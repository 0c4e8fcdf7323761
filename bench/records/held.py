"""The folder of a record that is being written: one process at a time holds it."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from bench.errors import BusyError, UserError
from bench.files.atomic import full, unwritten
from bench.files.links import check_inside, check_links
from bench.files.lock import hold
from bench.records.lookup import results_of


class Held:
    """The folder of one record, made if missing, which other processes may only read until it is released.

    Arguments:
        path: The folder, `<results>/<data set>/<threat>/<run id>`.

    Raises:
        BusyError: Another process holds it.
        UserError: It cannot be written, or has links out of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._made = [folder for folder in (path, *path.parents[:2]) if not folder.exists()]
            path.mkdir(parents=True, exist_ok=True)
            check_inside(path, results_of(path).resolve())
            file = hold(path / "samples.jsonl")
        except OSError as error:
            raise _unwritable(path, error) from error
        if file is None:
            raise BusyError("record-busy", path=path)
        self.file = file
        try:
            check_links(path)
            for left in (*path.glob("*.tmp"), *path.glob("adversarial/*.tmp")):
                left.unlink()  # by a process that was killed
        except BaseException:
            self.release()
            raise

    @property
    def begun(self) -> bool:
        """Whether the record has a header."""
        return (self.path / "run.json").exists()

    def release(self) -> None:
        """Lets other processes write; a record that was never begun leaves no files."""
        if self.file.closed:
            return
        if not self.begun and not os.fstat(self.file.fileno()).st_size:
            (self.path / "samples.jsonl").unlink(missing_ok=True)
            for folder in self._made:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        self.file.close()


def _unwritable(path: Path, error: OSError) -> Exception:
    if full(error):
        return unwritten(path, error)
    reason = "a symbolic link" if error.errno == errno.ELOOP else error.strerror
    return UserError("record-unwritable", path=path, reason=reason)
