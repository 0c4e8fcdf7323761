"""A packed record of somebody else, put among one's own."""

from __future__ import annotations

import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.errors import GateError, UserError
from bench.figures.summary import shares
from bench.files.archive import extract
from bench.files.documents import printable
from bench.records.header import read_header
from bench.records.lines import read_lines
from bench.records.seal import MAKERS_AUDIT, SEAL, broken_seal
from bench.threat import ThreatModel

FOLDER_NAME = r"\w[^/\\]*"


@dataclass(frozen=True)
class Unpacked:
    """A record among one's own.

    Arguments:
        path: Its folder.
        known: Whether it was there before, the same in every bit.
    """

    path: Path
    known: bool = False


def unpack(archive: Path, results: Path) -> Unpacked:
    """Puts the record in a file of `bench pack` where `bench run` would have made it, whole or not at all.

    Nothing is computed and no code runs: whether the record is true is for `bench verify`. An audit in the file is left out: it is its maker's word,
    and `bench audit` makes one here.

    Arguments:
        archive: The zip file.
        results: Folder of all records.

    Raises:
        UserError: It is no packed record, another record of this id is there, or the folder cannot be written.
        GateError: Its content is not as it was sealed.
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
                raise UserError(_conflict(archive, folder, target, results))
            return Unpacked(target, known=True)
    except OSError as error:
        raise UserError(
            f"expected to write below {printable(results)}, got: {error.strerror}; choose another --results"
        ) from error


def _place(archive: Path, folder: Path) -> Path:
    """`<dataset>/<threat>/<run id>`, once the content is found to be as it was sealed and its id that of its spec."""
    broken = broken_seal(folder)
    if broken:
        raise GateError(
            f"expected {printable(archive)} as it was packed, got: {printable('; '.join(broken))}; ask for it again"
        )
    header = read_header(folder)
    spec = header.spec
    if spec.run_id != header.run_id or not _plain(spec.dataset.name):
        raise UserError(
            f"expected a record in {printable(archive)} whose id is the hash of its spec and whose data set has a plain name, got id {printable(header.run_id)}, data set {printable(spec.dataset.name)}; do not use it"
        )
    return Path(spec.dataset.name) / ThreatModel.parse(spec.threat).slug / spec.run_id


def _plain(name: str) -> bool:
    """Whether a name stays in its folder, is not hidden, and shows what it is."""
    return name.isprintable() and re.fullmatch(FOLDER_NAME, name) is not None


def _same(one: Path, other: Path) -> bool:
    return (other / SEAL).is_file() and (one / SEAL).read_bytes() == (other / SEAL).read_bytes()


def _conflict(archive: Path, theirs: Path, mine: Path, results: Path) -> str:
    """That two records claim to be one run, by what they differ, and how to see more of it."""
    place = mine.relative_to(results)
    here, there = _figures(mine), _figures(theirs)
    told = (
        f"{here} here, {there} in {printable(archive)}" if here != there else f"{here} in both, by other lines or files"
    )
    return (
        f"expected no other record in {printable(mine)}, got two that claim to be run {mine.name}, {told}; import it with --results OTHER, and "
        f"bench compare {shlex.quote(printable(mine))} OTHER/{shlex.quote(printable(place))} shows the images that differ"
    )


def _figures(path: Path) -> str:
    """`robust 51.0 % of 100 images`."""
    lines = read_lines(path / "samples.jsonl")[0]
    return f"robust {100 * float(shares(lines).mean()):.1f} % of {len(lines)} images" if lines else "no image"
