"""Checks a record: its files, its content, its parts, and its stored images scored again without an attack."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.compare.findings import Finding, judged
from bench.errors import UserError
from bench.exchange.pack import is_canonical
from bench.figures.runs import Run, read_run
from bench.files.archive import extract
from bench.files.documents import printable
from bench.files.links import check_links
from bench.records.lookup import find_record
from bench.records.names import names_of
from bench.records.seal import SEAL, broken_seal
from bench.registry.entry import KINDS
from bench.registry.registry import Registry
from bench.registry.trust import file_of, require_permission
from bench.verify.verification import Options, Reporter, Verification


@contextmanager
def opened(results: Path, run: str) -> Iterator[tuple[Path, list[str]]]:
    """Gives the folder of a record, and the faults of the file that it was packed in, as phrases.

    Arguments:
        results: Folder of all records.
        run: An id, a unique prefix of it, a folder or a packed file.

    Raises:
        UserError: There is no such record.
    """
    if Path(run).is_dir() and not any((Path(run) / name).exists() for name in ("run.json", SEAL)):
        raise UserError("verify-folder-without-run", run=run)
    if not Path(run).is_file():
        yield Path(run) if Path(run).is_dir() else find_record(results, run), []
        return
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as room:
        folder = Path(room) / "record"
        folder.mkdir()
        try:
            extract(Path(run), folder)
        except UserError as error:
            yield folder, [str(error)]
            return
        whole = is_canonical(Path(run), folder, Path(room))
        yield folder, [] if whole else ["the zip file is not, bit by bit, what bench pack writes for these files"]


def verify(
    path: Path, packing: list[str], run: str, registry: Registry, options: Options, reporter: Reporter
) -> Verification:
    """Checks a record in stages; a failed stage ends it, so that files that were tampered with are never computed with.

    Arguments:
        path: The record's folder.
        packing: Faults of the file that it was packed in, as phrases.
        run: The record as the user named it.
        registry: Finds its names.
        options: How to verify.
        reporter: Receives the progress.

    Raises:
        UserError: The record names code that was not allowed to run, or a part that is not found.
    """
    whole = integrity(path, packing)
    if not whole.passed:
        return Verification(run=run, findings=[whole])
    try:
        record = read_run(path)
        findings = [whole, *_content(record)]
    except UserError as error:
        return Verification(run=run, findings=[whole, Finding(check="content", passed=False, detail=str(error))])
    if any(finding.passed is False for finding in findings):
        return Verification(run=run, run_id=record.run_id, findings=findings)
    _ask_permission(record, registry, run, options)
    from bench.verify.scores import score_again

    more, unchecked = score_again(record, registry, options, reporter)
    return Verification(run=run, run_id=record.run_id, findings=findings + more, unchecked=unchecked)


def integrity(path: Path, packing: list[str]) -> Finding:
    """The finding on the files of a record: unchanged since they were sealed and packed.

    Arguments:
        path: The record's folder.
        packing: Faults of the file that it was packed in, as phrases.
    """
    there = not packing or any(path.iterdir())  # a file that could not be unpacked leaves the folder empty
    try:
        broken = (_links(path) or broken_seal(path)) if there else []
    except (OSError, UserError) as error:
        broken = [str(error)]
    again = "the files themselves are unchanged: if they were only packed again, unpack them and verify the folder"
    only_packing = [again] if packing and there and not broken else []
    broken += packing + only_packing
    return judged("seal", printable("; ".join(broken)), "every file is as it was sealed")


def _links(path: Path) -> list[str]:
    """The links in a record, as phrases; a link could point to other bytes later."""
    check_links(path)
    links = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_symlink()]
    return [f"{printable(name)} is a link" for name in links]


def _content(run: Run) -> list[Finding]:
    """The findings on the run id and on the lines."""
    found = run.spec.run_id
    problem = f"the spec hashes to {found}, the record says {printable(run.run_id)}" if found != run.run_id else ""
    images = f"{len(run)} images, draws each: {run.spec.draws}"
    return [judged("run id", problem, "the hash of the spec"), judged("lines", _wrong_lines(run), images)]


def _wrong_lines(run: Run) -> str:
    """The fault of the lines: a wrong number of draws, an unknown environment, or margins that contradict predictions."""
    if not len(run):
        return "there are none"
    draws, margins = run.spec.draws, np.array([line.margin for line in run.lines])
    if run.clean.shape[1] != draws or run.adversarial.shape != margins.shape:
        return f"{run.clean.shape[1]} draws in the lines, {draws} in the spec"
    right = run.adversarial == run.labels[:, None]
    nowhere = [line.id for line in run.lines if line.environment not in run.header.environments]
    if nowhere:
        return f"images {nowhere[:5]} name an environment that run.json lacks"
    odd = run.ids[((margins < 0) & right | (margins > 0) & ~right).any(axis=1)].tolist()
    return f"margins of images {odd[:5]} do not fit their predictions" if odd else ""


def _ask_permission(run: Run, registry: Registry, name: str, options: Options) -> None:
    """Refuses names that are not found, and names that run code unless that was allowed."""
    for pair in names_of(run.header):
        try:
            registry.find(*pair)
        except UserError as error:
            if error.code == "object-not-here":
                raise
            raise _lacking(*pair, name) from error
        require_permission(registry, [pair], asker=f"the record {printable(name)}", allowed=options.allow_code)


def _lacking(kind: str, part: str, name: str) -> UserError:
    """The error for a part that a record names and that is not found."""
    file = file_of(part)
    if not file:
        listed = kind.replace("_", "-")
        return UserError("verify-part-unknown", component=KINDS[kind], part=part, record=name, kind=listed)
    where = "" if Path(file).is_absolute() else " in the folder where this is typed"
    return UserError("verify-file-missing", file=file, where=where, component=KINDS[kind], record=name)
