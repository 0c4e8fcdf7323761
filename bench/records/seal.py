"""The seal of a record, `SHA256SUMS`: one canonical text over every file; and the hash that an audit carries of itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files.documents import bounded, printable
from bench.records.spec import canonical

SEAL, AUDIT, MAKERS_AUDIT = "SHA256SUMS", "audit.json", "audit-of-maker.json"
"""An audit that was packed with a record is its maker's word: it lies under another name, which no command reads as a verdict."""
OWN_HASH = "sha256"
"""Key under which an audit, which is written after the seal, holds the hash of all its other keys."""
CHUNK = 1 << 20
MOST = 1 << 26
"""Bytes of a seal: a hundred thousand files take 10 MB."""


def sealed_names(path: Path) -> list[str]:
    """Names of the files that the seal of a record has to list, sorted: all but itself and audits, which come later."""
    files = (file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file() or file.is_symlink())
    return sorted((name for name in files if name not in (SEAL, AUDIT, MAKERS_AUDIT)), key=lambda name: name.split("/"))


def seal_text(path: Path, names: list[str] | None = None) -> bytes:
    """The content of `SHA256SUMS` for the files of a record as they are.

    Arguments:
        path: The record's folder.
        names: The files to list; all that a seal lists if left out.
    """
    names = sealed_names(path) if names is None else names
    return "".join(f"{sha256(path / name)}  {name}\n" for name in names).encode()


def broken_seal(path: Path) -> list[str]:
    """Faults in the files of a sealed record, as phrases; empty if every bit is as it was sealed.

    Arguments:
        path: The record's folder.
    """
    seal = path / SEAL
    if not seal.is_file():
        return [f"it has no {SEAL}: it is not complete, or the file was lost"]
    content = bounded(seal, MOST)
    if content != seal_text(path):
        return _differences(path, content) or [f"{SEAL} is not in the form in which it is written"]
    return broken_audit(path)


def broken_audit(path: Path) -> list[str]:
    """Faults in the audits beside a record; empty if there are none, or if they are as they were written."""
    return [fault for name in (AUDIT, MAKERS_AUDIT) if (path / name).exists() for fault in _broken(path / name)]


def _broken(file: Path) -> list[str]:
    try:
        content = bounded(file)
        document = json.loads(content)
        whole = (json.dumps(document, indent=1, allow_nan=False) + "\n").encode() == content
        if whole and isinstance(document, dict) and document.get(OWN_HASH) == own_hash(document):
            return []
    except (UserError, ValueError, RecursionError):
        pass
    return [f"{file.name} is not what was written: its own hash does not fit"]


def own_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a document without the key that holds it."""
    rest = {key: value for key, value in document.items() if key != OWN_HASH}
    return hashlib.sha256(canonical(rest).encode()).hexdigest()


def sha256(file: Path) -> str:
    """SHA-256 of a file, read in parts."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while part := stream.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()


def _differences(path: Path, content: bytes) -> list[str]:
    lines = content.decode("utf-8", errors="replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = sealed_names(path)
    lost = [f"{printable(name)} is listed and missing" for name in listed if name not in there]
    more = [f"{printable(name)} is not listed" for name in there if name not in listed]
    changed = [f"{printable(name)} changed" for name in there if name in listed and listed[name] != sha256(path / name)]
    return [*changed, *lost, *more]
