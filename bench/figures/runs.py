"""A run as arrays: what tables and gates compute with, read many times faster than line by line."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.errors import UserError
from bench.files.documents import read_json
from bench.records.header import Environment, Header, read_header
from bench.records.lines import Cost, SampleRecord, plain_flags, read_fields
from bench.records.lookup import record_paths, results_of
from bench.records.record import read_record
from bench.records.spec import RunSpec

CLEAN, ROBUST = "clean", "adversarial"
FIELDS = ("id", "label", CLEAN, ROBUST, "cost", "said", "certified")
"""The fields of a line that become columns."""
FINGERPRINT = ("torch", "device", "instructions", "batch_size")
"""Keys of an environment that have to be equal for equal bits: torch release, device kind, instruction set, images in one network call."""


@dataclass(frozen=True, eq=False)
class Run:
    """A record whose lines are columns, in the order in which they were done.

    Arguments:
        path: The record's folder.
        header: Its header.
        sealed: Whether it is complete and carries `SHA256SUMS`.
        audit: The content of `audit.json`, empty if the run was not audited.
        ids: Sample ids, shape `(n,)`.
        labels: Their classes, `(n,)`.
        clean: Predictions on the images, `(n, k)`.
        adversarial: Predictions on the adversarial images, `(n, k)`, the same draws.
        cost: Passes per image and kind, each `(n,)`.
        certified: Certified l2 radius of each image, NaN where there is none, `(n,)`.
        flags: Warnings of the attack, and the number of images with each.
    """

    path: Path
    header: Header
    sealed: bool
    audit: dict[str, Any]
    flags: dict[str, int]
    ids: np.ndarray
    labels: np.ndarray
    clean: np.ndarray
    adversarial: np.ndarray
    cost: dict[str, np.ndarray]
    certified: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.header.run_id

    @property
    def spec(self) -> RunSpec:
        """The content of the run id."""
        return self.header.spec

    @property
    def environments(self) -> list[Environment]:
        """Where its images were made; one that fits no other if the header has none."""
        return list(self.header.environments.values()) or [Environment()]

    @property
    def results(self) -> Path:
        """Folder of all records, in which this one lies."""
        return results_of(self.path)

    def hits(self, which: str = ROBUST) -> np.ndarray:
        """Whether each draw of each image was right, bool `(n, k)`; `which` is `clean` or `adversarial`."""
        return getattr(self, which) == self.labels[:, None]

    def shares(self, which: str = ROBUST) -> np.ndarray:
        """Each image's share of right draws, `(n,)`."""
        return self._shares[which]

    @cached_property
    def _shares(self) -> dict[str, np.ndarray]:
        return {which: self.hits(which).mean(axis=1) for which in (CLEAN, ROBUST)}

    @cached_property
    def lines(self) -> list[SampleRecord]:
        """The lines in full, with margins, distances and times; read when first asked for."""
        return read_record(self.path).lines[: len(self)]

    @cached_property
    def row_of(self) -> dict[int, int]:
        """Sample id to row."""
        return {sample: row for row, sample in enumerate(self.ids.tolist())}


def read_run(path: Path) -> Run:
    """Reads a record; a torn last line is left out.

    Raises:
        UserError: There is none, it has another format, a line inside is damaged, or lines differ in their draws.
    """
    header, file = read_header(path), path / "samples.jsonl"
    content = file.read_bytes() if file.exists() else b""
    whole = content if content.endswith(b"\n") else content[: content.rfind(b"\n") + 1]
    with _no_collection():
        lines = _read(path, whole)
        flags, columns = _flags(path, lines), _columns(file, lines)
        del lines
    return Run(path, header, (path / "SHA256SUMS").exists(), _audit(path, header.run_id), flags, *columns)


def read_runs(results: Path) -> Iterator[Run]:
    """All runs below `results` that have finished images, sorted by path.

    Raises:
        UserError: As for `read_run`.
    """
    return (run for run in map(read_run, record_paths(results)) if len(run))


def same_environment(*environments: Environment) -> bool:
    """Whether all environments compute the same bits; one that does not name its instruction set never does."""
    prints = [[getattr(environment, key) for key in FINGERPRINT] for environment in environments]
    return bool(prints) and None not in prints[0] and all(other == prints[0] for other in prints)


def _read(path: Path, content: bytes) -> Sequence[Any]:
    """The fields of lines that become columns."""
    try:
        return read_fields(content, FIELDS, raw=["cost"])
    except ValueError:
        return read_record(path).lines  # which names the damaged line


@contextmanager
def _no_collection() -> Iterator[None]:
    """Thousands of short lists would set off the search for cycles, a fifth of the time, and hold none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _columns(file: Path, lines: Sequence[Any]) -> tuple[Any, ...]:
    ids = list(map(attrgetter("id"), lines))
    if len(set(ids)) < len(ids):
        read_record(file.parent)  # which names the line
    labels, clean, adversarial, costs, radii = (
        list(map(attrgetter(name), lines)) for name in ("label", CLEAN, ROBUST, "cost", "certified")
    )
    return (
        np.array(ids, dtype=np.int64),
        np.array(labels, dtype=np.int64),
        _matrix(file, clean),
        _matrix(file, adversarial),
        _costs(file, costs),
        _radii(radii),
    )


def _radii(values: list[float | None]) -> np.ndarray:
    if set(values) <= {None}:
        return np.full(len(values), np.nan)
    return np.array([np.nan if radius is None else radius for radius in values])


def _matrix(file: Path, rows: list[list[int]]) -> np.ndarray:
    draws = set(map(len, rows)) or {1}
    if len(draws) > 1:
        raise UserError("record-draws-differ", file=file, draws=sorted(draws))
    k = draws.pop()
    return np.fromiter(chain.from_iterable(rows), np.int64, len(rows) * k).reshape(len(rows), k)


def _costs(file: Path, rows: list[Any]) -> dict[str, np.ndarray]:
    """Columns of the costs; a cost that several images share is read once."""
    texts = list(map(msgspec.json.encode, rows))
    places: dict[bytes, int] = {}
    place = np.fromiter((places.setdefault(text, len(places)) for text in texts), np.int64, len(texts))
    try:
        costs = msgspec.json.decode(b"[" + b",".join(places) + b"]", type=list[Cost])
    except msgspec.MsgspecError:
        read_record(file.parent)  # which names the line
        raise
    kinds = dict.fromkeys(kind for cost in costs for kind in cost)
    return {kind: np.array([cost.get(kind, 0) for cost in costs], dtype=np.int64)[place] for kind in kinds}


def _flags(path: Path, lines: Sequence[Any]) -> dict[str, int]:
    said = list(filter(None, map(attrgetter("said"), lines)))
    if not all(map(plain_flags, said)):
        read_record(path)  # which names the line
    return dict(sorted(Counter(flag for words in said for flag in set(words.get("flags", []))).items()))


def _audit(path: Path, run_id: str) -> dict[str, Any]:
    file = path / "audit.json"
    if not file.exists():
        return {}
    audit = read_json(file)
    if isinstance(audit, dict) and audit.get("run_id", run_id) != run_id:
        raise UserError("audit-other-run", run_id=run_id, file=file)
    return audit if isinstance(audit, dict) else {}
