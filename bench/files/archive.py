"""Untrusted zip files: sizes are checked before unpacking, and no file lands outside the target folder."""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from pathlib import Path

from bench.errors import UserError

MOST_FILES = 100_000
MOST_BYTES = 1 << 40
SUSPECT_BYTES, SUSPECT_RATIO = 1 << 28, 200
"""A member that is larger and more compressed than this is refused as a zip bomb; images compress less."""
RECORD_FILES = r"run\.json|samples\.jsonl|SHA256SUMS|audit-of-maker\.json|adversarial/\d{5,}\.safetensors"
_CHUNK = 1 << 20
_BAD = (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)


def extract(archive: Path, target: Path, *, wanted: str = RECORD_FILES, most: int = MOST_BYTES) -> list[Path]:
    """Unpacks the files of a zip file into a folder and returns their paths.

    Arguments:
        archive: The zip file.
        target: The folder, made if missing; existing files are not replaced.
        wanted: Regular expression that each whole name has to match.
        most: Largest total size of the files, in bytes.

    Raises:
        UserError: The file is damaged, holds other names, links, encrypted or oversized files, or cannot be unpacked.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _checked(archive, opened, wanted, most)
            return [_unpack(opened, member, target) for member in members]
    except _BAD as error:
        raise UserError("archive-not-zip", archive=archive, error=error) from error


def check_sizes(archive: Path, members: list[zipfile.ZipInfo], most: int = MOST_BYTES) -> None:
    """Raises `UserError` if a zip file holds too many files, or would unpack to far more than its size."""
    if len(members) > MOST_FILES or sum(member.file_size for member in members) > most:
        raise UserError("archive-too-large", files=MOST_FILES, mebibytes=most >> 20, archive=archive)
    for member in members:
        if member.file_size > SUSPECT_BYTES and member.file_size > SUSPECT_RATIO * max(1, member.compress_size):
            raise UserError(
                "archive-bomb",
                archive=archive,
                member=member.filename,
                unpacked=member.file_size >> 20,
                packed=member.compress_size >> 10,
            )


def _checked(archive: Path, opened: zipfile.ZipFile, wanted: str, most: int) -> list[zipfile.ZipInfo]:
    members = [member for member in opened.infolist() if not member.is_dir()]
    check_sizes(archive, members, most)
    seen: set[str] = set()
    for member in members:
        name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
        if not re.fullmatch(wanted, name) or ".." in name.split("/") or name.startswith("/") or name.casefold() in seen:
            raise UserError("archive-names", archive=archive, name=name)
        if kind not in (0, stat.S_IFREG) or member.flag_bits & 1:
            raise UserError("archive-links", archive=archive, name=name)
        seen.add(name.casefold())
    return members


def _unpack(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> Path:
    path = target / member.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with open(number, "wb") as file, opened.open(member) as packed:
        while part := packed.read(_CHUNK):
            file.write(part)
    return path
