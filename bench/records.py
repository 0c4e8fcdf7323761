"""The record of a run on disk: header, one line per image, adversarial images, seal. The only module that writes them."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, SerializerFunctionWrapHandler, ValidationError, model_serializer

from bench.errors import InterruptedRunError, UserError

FORMAT = 1
HEADER = {"format", "run_id", "spec", "labels", "checks", "environments"}
SHARD = 50
"""Consecutive positions of a data set's order that run together."""


class SampleRecord(BaseModel):
    """What one image gave.

    Arguments:
        id: Sample id.
        label: Its class.
        clean: Predictions on the image, one per draw.
        adversarial: Predictions on the adversarial image, the same draws.
        margin: Logit of the label minus the largest other on the adversarial image, one per draw.
        distance: Distance of the adversarial image in the threat's norm, pixel units.
        cost: Passes through each network.
        seconds: The image's share of its shard's time.
        environment: Key of the header's `environments`.
        said: What the attack says of the image, such as whether it claims to have broken it, and warnings.
        certified: l2 radius within which the label is certified, pixel units, 0 if it is not; None, and left out of the line, for
            a defense without a certificate.
    """

    id: int
    label: int
    clean: list[int]
    adversarial: list[int]
    margin: list[float]
    distance: float
    cost: dict[str, int]
    seconds: float
    environment: str
    said: dict[str, Any] = {}
    certified: float | None = None

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None or name != "certified"}


@dataclass(frozen=True)
class Record:
    """A record as it was read.

    Arguments:
        path: Its folder.
        header: The content of `run.json`.
        lines: The images that are done, in the order in which they were done.
        sealed: Whether it is complete and carries `SHA256SUMS`.
    """

    path: Path
    header: dict[str, Any]
    lines: list[SampleRecord] = field(default_factory=list)
    sealed: bool = False

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.header["run_id"]


def read_record(path: Path) -> Record:
    """Reads a record; a torn last line is left out.

    Raises:
        UserError: There is none, it has another format, or a line inside is damaged.
    """
    header = read_header(path)
    lines, _ = _read_lines(path / "samples.jsonl")
    return Record(path, header, lines, (path / "SHA256SUMS").exists())


def find_record(results: Path, run: str) -> Path:
    """The folder of a record given by its path, its id or a unique prefix of it.

    Raises:
        UserError: None fits, or several do.
    """
    if (Path(run) / "run.json").is_file():
        return Path(run)
    fitting = [path for path in record_paths(results) if run and path.name.startswith(run)]
    if len(fitting) != 1:
        found = f"{len(fitting)} of them" if fitting else "none"
        raise UserError(
            f"expected the id, a unique prefix or the folder of one run in {results}, got {run!r}, which fits {found}; see: bench leaderboard"
        )
    return fitting[0]


def record_paths(results: Path) -> list[Path]:
    """The folders of all records below `results`, sorted."""
    return sorted(file.parent for file in results.glob("*/*/*/run.json"))


class RecordWriter:
    """Adds to one record, which it holds locked; whatever the moment of a kill, whole shards or nothing are kept.

    Arguments:
        path: The record's folder, made if missing.
        header: What `run.json` has to say: written if there is none, else compared in `run_id`.

    Raises:
        UserError: The folder cannot be written, is in use, or holds another format or run.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._file = open(path / "samples.jsonl", "a+b", buffering=0)  # noqa: SIM115 - held, and locked, until close
        except OSError as error:
            raise UserError(
                f"expected a folder that can be written at {path}, got: {error.strerror}; choose another --results"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise UserError(
                f"expected the record {path} to be free, got one that another process is writing; wait for it or stop it"
            ) from error
        try:
            self._open(header)
        except BaseException:
            self._file.close()
            raise

    def _open(self, header: dict[str, Any]) -> None:
        if (self.path / "run.json").exists():
            self.header = read_header(self.path)
            if self.header["run_id"] != header["run_id"]:
                raise UserError(
                    f"expected the record of run {header['run_id']} in {self.path}, got that of {self.header['run_id']}; move it away"
                )
        else:
            self.header = header
            self._write("run.json", _json(header))
        self.lines, size = _read_lines(self.path / "samples.jsonl")
        self._file.truncate(size)

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

    def seal(self) -> None:
        """Writes `SHA256SUMS` over every file of the record: it is complete."""
        files = sorted(
            file
            for file in self.path.rglob("*")
            if file.is_file() and file.name != "SHA256SUMS" and file.suffix != ".tmp"
        )
        sums = [
            f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(self.path).as_posix()}\n"
            for file in files
        ]
        self._write("SHA256SUMS", "".join(sums).encode())

    def _unseal(self) -> None:
        (self.path / "SHA256SUMS").unlink(missing_ok=True)

    def _write_evidence(self, shard: int, ids: list[int], images: np.ndarray) -> None:
        from safetensors.numpy import load_file, save

        name = f"adversarial/{shard:05d}.safetensors"
        kept_ids, kept = np.array(ids, dtype=np.int64), images
        if (self.path / name).exists():
            before = load_file(self.path / name)
            rows = np.isin(before["ids"], list(self.finished))
            kept_ids = np.concatenate([before["ids"][rows], kept_ids])
            kept = np.concatenate([before["images"][rows], kept])
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
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _full(target.parent, error) from error


def copy_record(source: Path, results: Path, *, replacing: Path | None = None) -> Path:
    """Copies a record to the same place below another folder of results, in place of one that is there.

    Arguments:
        source: The record's folder.
        results: The other folder of results.
        replacing: A record to remove.

    Raises:
        UserError: The folder cannot be written.
    """
    target = results / source.parent.parent.name / source.parent.name / source.name
    temporary = target.with_name(target.name + ".tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(source, temporary)
        for old in {target, replacing or target}:
            shutil.rmtree(old, ignore_errors=True)
        temporary.replace(target)
    except OSError as error:
        raise _full(target, error) from error
    return target


def read_header(path: Path) -> dict[str, Any]:
    """The content of `run.json`.

    Raises:
        UserError: There is none, or it has another format.
    """
    file = path / "run.json"
    try:
        header = json.loads(file.read_bytes())
    except OSError as error:
        raise UserError(f"expected a record with run.json in {path}, got: {error.strerror}; check the path") from error
    except ValueError as error:
        raise UserError(f"expected JSON in {file}, got: {error}; restore the file or move the folder away") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        got = header.get("format") if isinstance(header, dict) else type(header).__name__
        raise UserError(
            f"expected a record of format {FORMAT} in {path}, got format {got}; use the purebench release that wrote it or another --results"
        )
    missing = HEADER - header.keys()
    if missing:
        raise UserError(f"expected {file} to hold {', '.join(sorted(missing))}, got none of that; restore the file")
    return header


def _read_lines(file: Path) -> tuple[list[SampleRecord], int]:
    """The whole lines, and the length of the file up to the end of the last one."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return [], 0
    size = content.rfind(b"\n") + 1
    return list(_parse(file, content[:size].splitlines())), size


def _parse(file: Path, lines: Iterable[bytes]) -> Iterable[SampleRecord]:
    seen: set[int] = set()
    for number, text in enumerate(lines, start=1):
        try:
            line = SampleRecord.model_validate_json(text)
        except ValidationError as error:
            raise UserError(
                f"expected one JSON object per line in {file}, got a damaged line {number}; restore the file, or move the record away to run again"
            ) from error
        if line.id in seen:
            raise UserError(
                f"expected each image once in {file}, got id {line.id} again in line {number}; move the record away to run again"
            )
        seen.add(line.id)
        yield line


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def _full(path: Path, error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InterruptedRunError(
            f"expected space to write the record {path}, got a full disk; free some and repeat the same command: what is finished is kept"
        )
    return UserError(
        f"expected to write the record {path}, got: {error.strerror}; check the folder and repeat the same command"
    )
