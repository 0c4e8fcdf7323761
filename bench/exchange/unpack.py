"""Imports a packed record into a results folder."""

from __future__ import annotations

import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.errors import GateError, UserError
from bench.figures.summary import shares
from bench.files.archive import extract
from bench.records.header import read_header
from bench.records.lines import read_lines
from bench.records.seal import MAKERS_AUDIT, SEAL, broken_seal
from bench.threat import ThreatModel

FOLDER_NAME = r"\w[^/\\]*"


@dataclass(frozen=True)
class Unpacked:
    """An imported record.

    Arguments:
        path: Its folder.
        known: Whether the same record was already there.
    """

    path: Path
    known: bool = False


def unpack(archive: Path, results: Path) -> Unpacked:
    """Extracts the record in a file of `bench pack` to where `bench run` would have made it, atomically.

    No code of the record runs and no number is checked; `bench verify` does that. The maker's audit in the file is dropped, and
    `bench audit` makes a new one.

    Arguments:
        archive: The zip file.
        results: The results folder.

    Raises:
        UserError: The file is no packed record, another record with this id exists, or the folder cannot be written.
        GateError: The content has changed since it was sealed.
    """
    try:
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=results) as room:
            folder = Path(room) / "record"
            folder.mkdir()
            extract(archive, folder)
            target = results / _place(archive, folder)
            (folder / MAKERS_AUDIT).unlink(missing_ok=True)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                return Unpacked(folder.rename(target))
            if not _same(folder, target):
                raise _conflict(archive, folder, target, results)
            return Unpacked(target, known=True)
    except OSError as error:
        raise UserError("unpack-unwritable", path=results, error=error) from error


def _place(archive: Path, folder: Path) -> Path:
    """`<dataset>/<threat>/<run id>`, after checks of the seal and of the run id."""
    broken = broken_seal(folder)
    if broken:
        raise GateError("unpack-changed", archive=archive, broken="; ".join(broken))
    header = read_header(folder)
    spec = header.spec
    if spec.run_id != header.run_id or not _plain(spec.dataset.name):
        raise UserError("unpack-identity", archive=archive, run_id=header.run_id, dataset=spec.dataset.name)
    return Path(spec.dataset.name) / ThreatModel.parse(spec.threat).slug / spec.run_id


def _plain(name: str) -> bool:
    """Whether a name stays in its folder, is not hidden, and is printable."""
    return name.isprintable() and re.fullmatch(FOLDER_NAME, name) is not None


def _same(one: Path, other: Path) -> bool:
    return (other / SEAL).is_file() and (one / SEAL).read_bytes() == (other / SEAL).read_bytes()


def _conflict(archive: Path, theirs: Path, mine: Path, results: Path) -> UserError:
    """The error about two records with one run id: how they differ, and how to compare them."""
    place = mine.relative_to(results)
    own, other = _figures(mine), _figures(theirs)
    differing = f"{own} here, {other} in {archive}" if own != other else f"{own} in both, by other lines or files"
    own_path, other_path = shlex.quote(str(mine)), shlex.quote(str(place))
    return UserError(
        "unpack-conflict", path=mine, run_id=mine.name, difference=differing, own_path=own_path, other_path=other_path
    )


def _figures(path: Path) -> str:
    """`robust 51.0 % of 100 images`."""
    lines = read_lines(path / "samples.jsonl")[0]
    return f"robust {100 * float(shares(lines).mean()):.1f} % of {len(lines)} images" if lines else "no image"
