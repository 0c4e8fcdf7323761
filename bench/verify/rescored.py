"""Scores the images of a record again, for verifications and for the gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from pathlib import Path

import numpy as np

from bench.compare.findings import CLOSE, Flip
from bench.errors import UserError
from bench.figures.runs import CLEAN, ROBUST, Run, same_environment
from bench.plan.plan import Plan
from bench.records.evidence import Evidence, distances, ids_outside_ball, positions_of, read_shard
from bench.records.header import Environment
from bench.records.record import SHARD
from bench.run.worker import Worker

MOST_SHARDS = 8
"""The most shards whose images are in memory together."""


@dataclass(frozen=True, eq=False)
class Rescored:
    """New scores of some images of a record.

    Arguments:
        run: The record.
        which: `clean` or `adversarial`.
        same: Whether this is the record's environment, where predictions have to be equal.
        ids: Sample ids, `(n,)`.
        predictions: New predictions, `(n, k)`.
        margins: New margins, `(n, k)`.
    """

    run: Run
    which: str
    same: bool
    ids: np.ndarray
    predictions: np.ndarray
    margins: np.ndarray

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows of the images in the record, `(n,)`."""
        return np.array([self.run.row_of[sample] for sample in self.ids.tolist()], dtype=np.int64)

    @cached_property
    def recorded(self) -> np.ndarray:
        """Recorded predictions, `(n, k)`."""
        return getattr(self.run, self.which)[self.rows]

    @cached_property
    def recorded_margins(self) -> np.ndarray:
        """Recorded margins, `(n, k)`; the new ones for clean images, whose margins are not recorded."""
        return self.margins if self.which == CLEAN else np.array([self.run.lines[row].margin for row in self.rows])

    @property
    def changed(self) -> np.ndarray:
        """Whether some prediction of each image differs, bool `(n,)`."""
        return (self.recorded != self.predictions).any(axis=1)

    @property
    def wrong(self) -> np.ndarray:
        """Whether some prediction of each image differs by more than rounding can explain, bool `(n,)`."""
        certain = self.same | (np.abs(self.recorded_margins) >= CLOSE)
        return ((self.recorded != self.predictions) & certain).any(axis=1)

    @property
    def moved(self) -> np.ndarray:
        """The largest change of a margin of each image, relative to the margin or to 1, `(n,)`."""
        change = np.abs(self.margins - self.recorded_margins)
        return (change / np.maximum(1, np.abs(self.recorded_margins))).max(axis=1)

    def flips(self, chosen: np.ndarray) -> list[Flip]:
        """The recorded and the new predictions of the chosen images, bool `(n,)`."""
        return [
            flip_of(self.run, int(self.ids[place]), self.which, self.predictions[place].tolist())
            for place in np.flatnonzero(chosen)
        ]


def flip_of(run: Run, sample: int, which: str, after: list[int] | None = None) -> Flip:
    """An image with its recorded predictions and other ones (by default the recorded ones)."""
    line = run.lines[run.row_of[sample]]
    before = getattr(line, which)
    margin = min(map(abs, line.margin)) if which == ROBUST else None
    return Flip(sample, line.label, which, before, before if after is None else after, margin)


@dataclass(frozen=True, eq=False)
class Scores:
    """All new scores of a record.

    Arguments:
        clean: Scores of the data set's images; None if they were not scored.
        adversarial: Scores of the stored images; None if none are stored.
        outside: Ids of stored images outside the ball or [0, 1], or not at their recorded distance.
        fresh: Predictions of the stored images under one fresh draw, `(n,)`; None if none was made.
    """

    clean: Rescored | None
    adversarial: Rescored | None
    outside: list[int]
    fresh: np.ndarray | None


@dataclass(frozen=True)
class Rescoring:
    """Scores the images of a record again, some shards at a time.

    Arguments:
        run: The record.
        planned: Its plan.
        worker: The worker that scores.
        clean: Whether to score the data set's images too.
        fresh: Whether to score each stored image under one fresh draw.
        scored: Receives the number of images after each part.
    """

    run: Run
    planned: Plan
    worker: Worker
    clean: bool = True
    fresh: bool = False
    scored: Callable[[int], None] = lambda _: None

    def scores(self) -> Scores:
        """The new scores.

        Raises:
            UserError: Stored images are damaged, or their shape is not the data set's.
        """
        clean, adversarial, outside, fresh = [], [], list[int](), []
        for ids, evidence in self._parts():
            if self.clean:
                positions = positions_of(ids, self.planned.dataset)
                clean.append(self._score(ids, positions, self.planned.dataset.floats(positions)))
            if len(evidence):
                positions = positions_of(evidence.ids, self.planned.dataset)
                adversarial.append(self._score(evidence.ids, positions, evidence.images))
                outside += self._outside(evidence)
                fresh += [self.worker.redraw(positions, evidence.images)] if self.fresh else []
        same = same_environment(*self.run.environments, Environment(**self.worker.environment))
        found = [
            Rescored(self.run, which, same, *map(np.concatenate, zip(*parts, strict=True))) if parts else None
            for which, parts in ((CLEAN, clean), (ROBUST, adversarial))
        ]
        return Scores(found[0], found[1], outside, np.concatenate(fresh) if fresh else None)

    def _parts(self) -> Iterator[tuple[np.ndarray, Evidence]]:
        """The ids and stored images of some shards at a time, as many as fill the network calls."""
        shape = self.planned.dataset.images.shape[1:]
        size = SHARD * min(MOST_SHARDS, self.worker.batch // gcd(SHARD, self.worker.batch))
        for start in range(0, len(self.run), size):
            ids = self.run.ids[start : start + size]
            evidence = _stored(self.run.path, range(start // SHARD, -(-(start + len(ids)) // SHARD))).of(ids)
            if len(evidence) and evidence.images.shape[1:] != shape:
                raise UserError("verify-image-shape", shape=shape, got=evidence.images.shape[1:])
            yield ids, evidence

    def _score(self, ids: np.ndarray, positions: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, ...]:
        scores = self.worker.rescore(positions, images)
        self.scored(len(ids))
        return ids, *scores

    def _outside(self, evidence: Evidence) -> list[int]:
        dataset, threat = self.planned.dataset, self.planned.threat
        recorded = np.array([self.run.lines[self.run.row_of[sample]].distance for sample in evidence.ids.tolist()])
        moved = ~np.isclose(distances(evidence, dataset, threat), recorded, rtol=1e-4, atol=1e-6)
        return sorted({*ids_outside_ball(evidence, dataset, threat), *evidence.ids[moved].tolist()})


def _stored(path: Path, shards: Sequence[int]) -> Evidence:
    """The stored adversarial images of some shards."""
    files = [path / "adversarial" / f"{shard:05d}.safetensors" for shard in shards]
    parts = [read_shard(file) for file in files if file.exists()]
    if not parts:
        return Evidence(np.zeros(0, np.int64), np.zeros((0, 1, 1, 1), np.float32))
    if len({images.shape[1:] for _, images in parts}) > 1:
        raise UserError("verify-image-shapes", path=path)
    return Evidence(*(np.concatenate(column) for column in zip(*parts, strict=True)))
