"""Folders of results that are kept as one zip file, and unpacked when they are first read."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path

from bench.errors import UserError
from bench.files.archive import RECORD_FILES, extract

MARK = ".unpacked"
"""File in an unpacked folder that holds the SHA-256 of its zip file."""
WANTED = rf"(?:[^/]+/){{3}}(?:{RECORD_FILES}|audit\.json)"


def unpacked(results: Path) -> Path:
    """The folder of results, unpacked first if there is only the zip file of that name beside it.

    A folder that was unpacked and then added to stays as it is.

    Arguments:
        results: A folder, or the zip file that `pack_results` wrote.

    Raises:
        UserError: The zip file is damaged, or is another one than the folder was unpacked from.
    """
    folder = results.with_suffix("") if results.suffix == ".zip" else results
    archive = folder.with_name(folder.name + ".zip")
    if not archive.is_file():
        return results
    if not folder.exists():
        _unpack(archive, folder)
    mark = folder / MARK
    if mark.is_file() and mark.read_text().strip() != _sha256(archive):
        raise UserError("archive-other-version", folder=folder, archive=archive)
    return folder


def pack_results(folder: Path, archive: Path) -> None:
    """Writes all records of a folder of results into one zip file, compressed, in the order of their names.

    Arguments:
        folder: Holds `<data set>/<threat>/<run id>/`.
        archive: The file to write.
    """
    temporary = archive.with_name(archive.name + ".tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for record in sorted(file.parent for file in folder.glob("*/*/*/run.json")):
            for file in sorted(file for file in record.rglob("*") if file.is_file() and file.suffix != ".tmp"):
                member = zipfile.ZipInfo(file.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
                member.external_attr = 0o100644 << 16
                packed.writestr(member, file.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    temporary.replace(archive)
    (folder / MARK).write_text(_sha256(archive) + "\n")


def _unpack(archive: Path, folder: Path) -> None:
    """Unpacks beside and renames, so that the folder is whole or absent; another process may be faster."""
    room = Path(tempfile.mkdtemp(prefix=folder.name + ".", suffix=".tmp", dir=folder.parent))
    try:
        extract(archive, room, wanted=WANTED)
        (room / MARK).write_text(_sha256(archive) + "\n")
        room.chmod(0o755)
        if not folder.exists():
            room.rename(folder)
    except OSError as error:
        if not folder.exists():
            raise UserError("archive-unpack-failed", archive=archive, error=error) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _sha256(file: Path) -> str:
    status = file.stat()
    return _hashed(file.resolve(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _hashed(file: Path, size: int, changed: int) -> str:
    """The hash of a file of this size and time; a suite asks for it once per cell."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
