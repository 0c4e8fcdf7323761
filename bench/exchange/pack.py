"""Packs a record into one zip file with canonical bytes, so that any flipped bit is detected."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import BinaryIO

from bench.errors import GateError, UserError
from bench.files.atomic import replacing
from bench.files.links import check_links
from bench.records.header import read_header
from bench.records.seal import AUDIT, CHUNK, MAKERS_AUDIT, SEAL, broken_seal, sealed_names

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can store."""
MODE = 0o100644


def pack(path: Path, target: Path) -> Path:
    """Writes a complete record with its evidence, its seal and its audit (as its maker's) into one zip file, atomically.

    Members are uncompressed, sorted by name, with a fixed time and mode. So the same record gives the same bytes on every
    machine, which compression does not guarantee.

    Arguments:
        path: The record's folder.
        target: The file to write; an existing one is replaced.

    Raises:
        UserError: The record is not complete, or the file cannot be written.
        GateError: The record has changed since it was sealed.
    """
    check_links(path)
    read_header(path)
    if not (path / SEAL).is_file():
        raise UserError("pack-incomplete", path=path, seal=SEAL)
    broken = broken_seal(path)
    if broken:
        raise GateError("pack-seal-broken", path=path, broken="; ".join(broken))
    try:
        with replacing(target) as file:
            write_zip(path, file)
    except OSError as error:
        raise UserError("pack-unwritable", path=target, error=error) from error
    return target


def write_zip(path: Path, target: BinaryIO) -> None:
    """Writes the files of a record in their canonical form.

    Arguments:
        path: The record's folder.
        target: The open file that receives the zip file.
    """
    files = {name: path / name for name in [*sealed_names(path), SEAL]}
    audits = [path / name for name in (AUDIT, MAKERS_AUDIT) if (path / name).exists()]
    if audits:
        files[MAKERS_AUDIT] = audits[0]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, source in sorted(files.items()):
            member = zipfile.ZipInfo(name, EPOCH)
            member.create_system, member.external_attr = 3, MODE << 16
            member.file_size = source.stat().st_size
            with open(source, "rb") as stream, archive.open(member, "w") as packed:
                shutil.copyfileobj(stream, packed, CHUNK)


def is_canonical(archive: Path, unpacked: Path, room: Path) -> bool:
    """Whether packing the content of a zip file gives the same bytes.

    Arguments:
        archive: The zip file.
        unpacked: A folder with its content and nothing else.
        room: A temporary folder for the repacked file.
    """
    with open(archive, "rb") as one, open(room / "again.zip", "w+b") as other:
        write_zip(unpacked, other)
        other.seek(0)
        while part := one.read(CHUNK):
            if part != other.read(CHUNK):
                return False
        return not other.read(1)
