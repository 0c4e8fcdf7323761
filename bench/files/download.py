"""Downloads that are verified by checksum and resume after an interruption."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from bench.errors import UserError
from bench.files.lock import hold

CHUNK, TIMEOUT, NOTICES = 1 << 18, 30, 10
WAIT = 0.2
LOG = logging.getLogger("bench.download")

# URLError and HTTPError are OSErrors.
_FAILURES = (OSError, HTTPException)


def cache_folder(data_dir: Path | None) -> Path:
    """`data_dir`, or purebench's cache folder on this platform."""
    from platformdirs import user_cache_path

    return data_dir or user_cache_path("purebench")


def fetch(addresses: Sequence[str], path: Path, *, checksum: str, advice: str = "") -> Path:
    """Downloads a file from the first address that works, unless it exists; the checksum is verified in any case.

    Received bytes are kept in `path` with `.part` until the file is complete and verified; a later call downloads only
    the rest. One process downloads at a time; others wait for it.

    Arguments:
        addresses: Addresses of the same file, in the order in which they are tried.
        path: The local file; missing folders are made.
        checksum: `md5:...` or `sha256:...`, in hexadecimal digits; the first digits are enough.
        advice: An alternative to the download, appended to the error sentence.

    Raises:
        UserError: All addresses fail, or a checksum is wrong.
    """
    if path.exists():
        _check(path, checksum, f"the file at {path}; remove it and repeat the same command to download it again")
        return path
    part = path.with_name(path.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        holder = _held(part)
    except OSError as error:
        raise UserError("download-unwritable", file=path.name, folder=path.parent, error=error) from error
    with holder:
        if path.exists():  # another process has downloaded it
            part.unlink()
            return fetch(addresses, path, checksum=checksum, advice=advice)
        return _fetched(addresses, part, path, checksum=checksum, advice=advice)


def _held(part: Path) -> BinaryIO:
    """The locked file, once no other process holds it."""
    if file := hold(part):
        return file
    LOG.info("%s: another process is downloading it; waiting", part.name.removesuffix(".part"))
    while not (file := hold(part)):
        time.sleep(WAIT)
    return file


def _fetched(addresses: Sequence[str], part: Path, path: Path, *, checksum: str, advice: str) -> Path:
    failures = []
    for address in addresses:
        try:
            _receive(address, part)
        except _FAILURES as error:
            failures.append(f"{address}: {error or type(error).__name__}")
            continue
        try:
            _check(part, checksum, f"{address}; it was discarded: repeat the same command, or choose another network")
        except UserError:
            part.unlink()
            raise
        return part.replace(path)
    size = part.stat().st_size
    if not size:
        part.unlink()
    kept = f"; {_megabytes(size)} are kept" if size else ""
    raise UserError(
        "download-failed",
        file=path.name,
        folder=path.parent,
        failures=" and ".join(failures),
        kept=kept,
        advice=advice and ", or " + advice,
    )


def digest(path: Path, algorithm: str) -> str:
    """The checksum of a file in hexadecimal digits.

    Arguments:
        path: The file.
        algorithm: `md5` or `sha256`.
    """
    value = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            value.update(chunk)
    return value.hexdigest()


def _receive(address: str, part: Path) -> None:
    """Appends the missing bytes to `part`, or replaces it if the server can only send the whole file."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "purebench"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urlopen(Request(address, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416 and have:  # nothing is missing, or the file is wrong: the checksum decides
            return
        raise
    with response:
        continues = response.status == 206
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length) + (have if continues else 0)
        with open(part, "ab" if continues else "wb") as file:
            _copy(response, file, part.name.removesuffix(".part"), have if continues else 0, total)


def _copy(response: BinaryIO, file: BinaryIO, name: str, done: int, total: int | None) -> None:
    if done:
        LOG.info("%s: continuing after %s", name, _megabytes(done))
    reported = 0
    while chunk := response.read(CHUNK):
        file.write(chunk)
        done += len(chunk)
        if total and NOTICES * done // total > reported:
            reported = NOTICES * done // total
            LOG.info("%s: %s of %s", name, _megabytes(done), _megabytes(total))
    if total is not None and done < total:
        raise OSError(f"the connection broke off after {_megabytes(done)} of {_megabytes(total)}")


def _check(path: Path, checksum: str, what: str) -> None:
    algorithm, _, expected = checksum.partition(":")
    got = digest(path, algorithm)
    if not got.startswith(expected):
        raise UserError("download-changed", algorithm=algorithm, digest=expected[:12], got=got[:12], source=what)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
