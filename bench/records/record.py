"""The record of a run on disk: header, one line per image, adversarial images, seal. The only module that writes them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import BusyError, InterruptedRunError, UserError
from bench.files.links import check_inside, check_links
from bench.files.lock import hold
from bench.records.evidence import read_evidence, read_shard
from bench.records.header import read_header
from bench.records.lines import SampleRecord, in_order, read_lines
from bench.records.seal import SEAL, seal_text, sealed_names

SHARD = 50
"""Consecutive positions of a data set's order that run together."""


@dataclass(frozen=True)
class Record:
    """A record as it was read.

    Arguments:
        path: Its folder.
        header: The content of `run.json`.
        lines: The images that are done, in the order in which they were done.
        sealed: Whether it is complete and carries `SHA256SUMS`.
        torn: Whether its lines end in one that was not written to its end, which is left out.
    """

    path: Path
    header: dict[str, Any]
    lines: list[SampleRecord] = field(default_factory=list)
    sealed: bool = False
    torn: bool = False

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.header["run_id"]


def read_record(path: Path) -> Record:
    """Reads a record; a torn last line is left out.

    Raises:
        UserError: There is none, it has another format, a part of it is damaged, or a link in it leads out of it.
    """
    check_links(path)
    header = read_header(path)
    file = path / "samples.jsonl"
    lines, size = read_lines(file)
    torn = file.exists() and file.stat().st_size != size
    return Record(path, header, lines, (path / SEAL).exists(), torn)


class RecordWriter:
    """Adds to one record, which it holds locked; whatever the moment of a kill, whole shards or nothing are kept.

    Arguments:
        path: The record's folder, made if missing.
        header: What `run.json` has to say: written if there is none, else compared in `run_id`.
        checks: Finds out what a new header says of the checks; asked once the record is held.

    Raises:
        BusyError: Another process holds it.
        UserError: The folder cannot be written, has links out of it, or holds another format or run.
    """

    def __init__(self, path: Path, header: dict[str, Any], checks: Callable[[], dict[str, Any]] | None = None) -> None:
        self.path = path
        try:
            missing = [folder for folder in (path, *path.parents[:2]) if not folder.exists()]
            path.mkdir(parents=True, exist_ok=True)
            check_inside(path, path.absolute().parents[2].resolve())
            file = hold(path / "samples.jsonl")
        except OSError as error:
            raise _unwritable(path, error) from error
        if file is None:
            raise BusyError(
                f"expected the record {path} to be free, got one that another process is writing; wait for it or stop it"
            )
        self._file = file
        try:
            self._open(header, checks)
        except BaseException:
            self._leave(missing)
            raise

    def _open(self, header: dict[str, Any], checks: Callable[[], dict[str, Any]] | None) -> None:
        check_links(self.path)
        for left in (*self.path.glob("*.tmp"), *self.path.glob("adversarial/*.tmp")):
            left.unlink()  # by a process that was killed
        if (self.path / "run.json").exists():
            self.header = read_header(self.path)
            if self.header["run_id"] != header["run_id"]:
                raise UserError(
                    f"expected the record of run {header['run_id']} in {self.path}, got that of {self.header['run_id']}; move it away"
                )
        else:
            self.header = {**header, "checks": checks()} if checks else header
            self._write("run.json", _json(self.header))
        self.lines, size = read_lines(self.path / "samples.jsonl")
        if os.fstat(self._file.fileno()).st_size != size:  # else the file stays as it is, with its time
            self._file.truncate(size)

    def _leave(self, made: list[Path]) -> None:
        """Takes back what a record that could not be begun has left."""
        if not (self.path / "run.json").exists() and not os.fstat(self._file.fileno()).st_size:
            (self.path / "samples.jsonl").unlink(missing_ok=True)
            for folder in made:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        self._file.close()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def finished(self) -> set[int]:
        """Ids of the images that are done."""
        return {line.id for line in self.lines}

    def add_environment(self, key: str, environment: dict[str, Any]) -> None:
        """Names an environment that lines will refer to."""
        if key not in self.header["environments"]:
            self._unseal()
            self.header = {**self.header, "environments": {**self.header["environments"], key: environment}}
            self._write("run.json", _json(self.header))

    def append(self, shard: int, lines: list[SampleRecord], images: np.ndarray | None) -> None:
        """Stores images of a shard: their adversarial images first, then their lines in one write.

        Arguments:
            shard: Number of the shard.
            lines: Lines of images that are not in the record yet, all of this shard.
            images: The adversarial images in the order of the lines, float32 `(B, C, H, W)`; None keeps no evidence.
        """
        self._unseal()
        if images is not None:
            self._write_evidence(shard, [line.id for line in lines], images)
        text = "".join(line.model_dump_json() + "\n" for line in lines).encode()
        size = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(text) != len(text):
                raise OSError(errno.ENOSPC, "the line was not written to its end")
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(size)
            raise _full(self.path, error) from error
        self.lines = [*self.lines, *lines]

    def seal(self, order: Sequence[int] = ()) -> None:
        """Writes `SHA256SUMS` over every file of the record but an audit, which comes later: it is complete.

        Arguments:
            order: Sample ids in the data set's order, into which the lines are brought, whoever finished first.
        """
        if order:
            self._sort(order)
        names = [name for name in sealed_names(self.path) if not name.endswith(".tmp")]
        self._write(SEAL, seal_text(self.path, names))

    def _sort(self, order: Sequence[int]) -> None:
        """Puts the sorted lines in the place of the others; the new file is locked before it gets there."""
        place = {sample: number for number, sample in enumerate(order)}
        places = [place.get(line.id, len(place)) for line in self.lines]
        if places == sorted(places):
            return
        target = self.path / "samples.jsonl"
        temporary = target.with_name("samples.jsonl.tmp")
        try:
            file = hold(temporary)
            if file is None:
                raise OSError(errno.EBUSY, "another process holds the temporary file")
            file.write(in_order(target.read_bytes(), order))
            os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _full(self.path, error) from error
        self._file.close()
        self._file = file
        self.lines = [line for _, line in sorted(zip(places, self.lines, strict=True), key=lambda pair: pair[0])]

    def _unseal(self) -> None:
        try:
            (self.path / SEAL).unlink(missing_ok=True)
        except OSError as error:
            raise _full(self.path, error) from error

    def _write_evidence(self, shard: int, ids: list[int], images: np.ndarray) -> None:
        from safetensors.numpy import save

        name = f"adversarial/{shard:05d}.safetensors"
        kept_ids, kept = np.array(ids, dtype=np.int64), images
        if (self.path / name).exists():
            before_ids, before = read_shard(self.path / name)
            rows = np.isin(before_ids, list(self.finished))
            kept_ids, kept = np.concatenate([before_ids[rows], kept_ids]), np.concatenate([before[rows], kept])
        self._write(name, save({"ids": kept_ids, "images": np.ascontiguousarray(kept)}))

    def _write(self, name: str, content: bytes) -> None:
        write_whole(self.path / name, content)


def write_whole(target: Path, content: bytes) -> None:
    """Writes a file beside and renames it into place, so that it is whole or absent; its folder is made.

    Raises:
        UserError: It cannot be written.
        InterruptedRunError: The disk is full.
    """
    temporary = target.with_name(target.name + ".tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise _full(target.parent, error) from error
        raise


def copy_record(source: Path, results: Path, *, replacing: Path | None = None, samples: int | None = None) -> Path:
    """Copies a record to the same place below another folder of results, in place of one that is there.

    Arguments:
        source: The record's folder.
        results: The other folder of results.
        replacing: A record to remove.
        samples: Copies so many of a complete record's images, the first, as if no more had been run, and no audit; None copies all.

    Raises:
        UserError: The folder cannot be written.
    """
    target = results / source.parent.parent.name / source.parent.name / source.name
    temporary = target.with_name(target.name + ".tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        if samples is None:
            shutil.copytree(source, temporary)
        else:
            _copy_first(source, temporary, samples)
        for old in {target, replacing or target}:
            shutil.rmtree(old, ignore_errors=True)
        temporary.replace(target)
    except OSError as error:
        raise _full(target, error) from error
    return target


def _copy_first(source: Path, target: Path, samples: int) -> None:
    record, evidence = read_record(source), read_evidence(source)
    with RecordWriter(target, record.header) as writer:
        for start in range(0, min(samples, len(record.lines)), SHARD):
            lines = record.lines[start : min(start + SHARD, samples)]
            images = None if evidence is None else evidence.of([line.id for line in lines]).images
            writer.append(start // SHARD, lines, images)
        writer.seal()


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def _unwritable(path: Path, error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(path, error)
    reason = "a symbolic link" if error.errno == errno.ELOOP else error.strerror
    return UserError(f"expected a folder that can be written at {path}, got: {reason}; choose another --results")


def _full(path: Path, error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InterruptedRunError(
            f"expected space to write the record {path}, got a full disk; free some and repeat the same command: what is finished is kept"
        )
    return UserError(
        f"expected to write the record {path}, got: {error.strerror}; check the folder and repeat the same command"
    )
