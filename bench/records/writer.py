"""Adds to a record: header, one line per image, adversarial images, seal. Only this room writes records."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import Self

from bench.errors import UserError
from bench.files.atomic import unwritten, write_whole
from bench.files.lock import hold
from bench.records.evidence import read_shard
from bench.records.header import Header, read_header
from bench.records.held import Held
from bench.records.lines import SampleRecord, encoded, in_order, read_lines
from bench.records.seal import SEAL, seal_text, sealed_names


class RecordWriter:
    """Adds to one record, which it holds; whatever the moment of a kill, whole shards or nothing are kept.

    Arguments:
        place: The record's folder, made if missing; or the folder as it is held already.
        document: The content of `run.json`: written if there is none, else compared in `run_id`.

    Raises:
        BusyError: Another process holds the record.
        UserError: The folder cannot be written, has links out of it, or holds another format or run.
    """

    def __init__(self, place: Path | Held, document: dict[str, Any]) -> None:
        self._held = Held(place) if isinstance(place, Path) else place
        self.path = self._held.path
        try:
            self._open(document)
        except BaseException:
            self._held.release()
            raise

    def _open(self, document: dict[str, Any]) -> None:
        if self._held.begun:
            self.header = read_header(self.path)
            if self.header.run_id != document["run_id"]:
                raise UserError("record-other-run", wanted=document["run_id"], path=self.path, got=self.header.run_id)
        else:
            self._write_header(document)
        self.lines, size = read_lines(self.path / "samples.jsonl")
        if os.fstat(self._held.file.fileno()).st_size != size:  # else the file stays as it is, with its time
            self._held.file.truncate(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets other processes write the record."""
        self._held.release()

    @property
    def finished(self) -> set[int]:
        """Ids of the images that are done."""
        return {line.id for line in self.lines}

    def add_environment(self, key: str, environment: dict[str, Any]) -> None:
        """Names an environment that lines will refer to."""
        if key not in self.header.environments:
            self._unseal()
            document = self.header.document
            self._write_header({**document, "environments": {**document["environments"], key: environment}})

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
        text = b"".join(map(encoded, lines))
        file = self._held.file
        size = file.seek(0, os.SEEK_END)
        try:
            if file.write(text) != len(text):
                raise OSError(errno.ENOSPC, "the line was not written to its end")
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(size)
            raise unwritten(self.path, error) from error
        self.lines = [*self.lines, *lines]

    def seal(self, order: Sequence[int] = ()) -> None:
        """Writes `SHA256SUMS` over every file of the record but an audit, which comes later: it is complete.

        Arguments:
            order: Sample ids in the data set's order, into which the lines are brought, whoever finished first.
        """
        if order:
            self._sort(order)
        names = [name for name in sealed_names(self.path) if not name.endswith(".tmp")]
        write_whole(self.path / SEAL, seal_text(self.path, names))

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
            raise unwritten(self.path, error) from error
        self._held.file.close()
        self._held.file = file
        self.lines = [line for _, line in sorted(zip(places, self.lines, strict=True), key=lambda pair: pair[0])]

    def _unseal(self) -> None:
        try:
            (self.path / SEAL).unlink(missing_ok=True)
        except OSError as error:
            raise unwritten(self.path, error) from error

    def _write_evidence(self, shard: int, ids: list[int], images: np.ndarray) -> None:
        from safetensors.numpy import save

        file = self.path / f"adversarial/{shard:05d}.safetensors"
        kept_ids, kept = np.array(ids, dtype=np.int64), images
        if file.exists():
            before_ids, before = read_shard(file)
            rows = np.isin(before_ids, list(self.finished))
            kept_ids, kept = np.concatenate([before_ids[rows], kept_ids]), np.concatenate([before[rows], kept])
        write_whole(file, save({"ids": kept_ids, "images": np.ascontiguousarray(kept)}))

    def _write_header(self, document: dict[str, Any]) -> None:
        self.header = Header.of(document)
        write_whole(self.path / "run.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
