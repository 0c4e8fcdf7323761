"""The parts of a record built again, and its stored images scored again: the stage of a verification that needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd
from pathlib import Path

import numpy as np

from bench.compare.findings import CLOSE, Finding, Flip
from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.figures.runs import CLEAN, ROBUST, Run, same_environment
from bench.plan.plan import Plan
from bench.records.evidence import Evidence, distances, outside_ball, positions_of, read_shard
from bench.records.record import SHARD
from bench.records.seal import MAKERS_AUDIT
from bench.records.spec import differences, of_code
from bench.registry.registry import Registry
from bench.run.replay import replan, worker_of
from bench.run.worker import Worker
from bench.verify.judge import Judge, Scored
from bench.verify.verification import Options, Reporter

MOST_SHARDS = 8
"""Shards whose images are in memory together."""
ELSEWHERE = f"in another environment than the record's, predictions may differ where a margin is below {CLOSE:g}"
NOT_RUN = "that the named attack made these images, and that no stronger one exists: none was run (bench audit attacks some again, and by others)"
AUDITED = "the audit that came with it: its maker's word (bench audit makes one here)"
TAKEN = "certified radii, costs, times, checks, notes, environments and what the attack said: taken as recorded"
RECODED = "the bytes of its file, or of a module that it imports, are others: even a comment does that"


def score_again(run: Run, registry: Registry, options: Options, reporter: Reporter) -> tuple[list[Finding], list[str]]:
    """Findings on parts, images and scores; and what was not checked.

    Arguments:
        run: A record whose files are as they were sealed.
        registry: What its names stand for.
        options: How.
        reporter: Hears how far it is.
    """
    try:
        planned = replan(run.header, registry, options.data_dir)
    except UserError as error:
        return [Finding(check="parts", passed=False, detail=f"they cannot be built here: {error}")], [NOT_RUN, TAKEN]
    findings, unchecked = _parts(run, planned)
    unchecked += [AUDITED] if (run.path / MAKERS_AUDIT).exists() else []
    findings.append(_images(run, planned.dataset))
    if any(finding.passed is False for finding in findings):
        return findings, [*unchecked, NOT_RUN, TAKEN, "nothing was scored again: parts or images differ"]
    worker = worker_of(run, planned, device=options.device, batch_size=options.batch_size)
    try:
        more, notes = _Again(run, planned, worker, reporter).findings()
    except UserError as error:
        more, notes = [Finding(check="scores", passed=False, detail=f"the images cannot be scored: {error}")], []
    return findings + more, [*unchecked, *notes, NOT_RUN, TAKEN]


def _parts(run: Run, planned: Plan) -> tuple[list[Finding], list[str]]:
    """Names, arguments, and hashes of weights and data; a changed attack does not touch what is scored."""
    now = planned.spec.model_dump()
    changed, attack = (
        differences(
            *({key: value for key, value in spec.items() if (key == "attack") is whose} for spec in (run.spec, now))
        )
        for whose in (False, True)
    )
    recoded = [RECODED] if any(map(of_code, changed)) else []
    detail = "; ".join(changed + recoded) or "defense, networks and data have the recorded arguments and hashes"
    notes = [f"the attack stands for something else here: {'; '.join(attack)}"] if attack else []
    return [Finding(check="parts", passed=not changed, detail=detail)], notes


def _images(run: Run, dataset: Dataset) -> Finding:
    """The first images of the data set's fixed order, none left out, with their labels."""
    check, first = "images", dataset.ids[: len(run)]
    if not np.array_equal(run.ids, first):
        return Finding(
            check=check, passed=False, detail=f"not the first {len(run)} images of {dataset.name} in its order"
        )
    wrong = run.ids[run.labels != dataset.labels[: len(run)]].tolist()
    detail = f"labels of images {wrong[:5]} are not those of {dataset.name}" if wrong else f"the first {len(run)} of {dataset.name}, with their labels"  # fmt: skip
    return Finding(
        check=check, passed=not wrong, detail=detail, flips=[Flip(sample, 0, "label", [], []) for sample in wrong]
    )


class _Again:
    """Scores a record's images again, some shards at a time.

    Arguments:
        run: The run.
        planned: Its plan.
        worker: What scores.
        reporter: Hears how far it is.
    """

    def __init__(self, run: Run, planned: Plan, worker: Worker, reporter: Reporter) -> None:
        self.run, self.planned, self.worker, self.reporter = run, planned, worker, reporter
        self.stochastic = not planned.make_defense(planned.score).deterministic
        self.done = 0

    def findings(self) -> tuple[list[Finding], list[str]]:
        """All findings, and what was not checked."""
        groups = list(self._groups())
        clean = _joined([scored for scored, _, _, _ in groups])
        kept = [part for part in groups if part[1] is not None]
        same = self._same()
        judge = Judge(self.run, same)
        notes = [] if same else [ELSEWHERE]
        findings = judge.compare(CLEAN, clean)
        lacking = len(self.run) - sum(len(scored.ids) for _, scored, _, _ in kept if scored)
        if lacking:
            told = f"{lacking} of {len(self.run)} images have none stored: their adversarial predictions and their ball were not checked"
            findings.append(Finding(check="evidence", passed=None, detail=told))
        if not kept:
            return findings, notes
        attacked = _joined([scored for _, scored, _, _ in kept if scored])
        outside = [sample for _, _, strange, _ in kept for sample in strange]
        findings += [judge.ball(outside), *judge.compare(ROBUST, attacked)]
        if self.stochastic:
            fresh = np.concatenate([part for _, _, _, part in kept if part is not None])
            findings.append(judge.fresh(attacked.ids, fresh))
        return findings, notes

    def _same(self) -> bool:
        """Whether this is the environment of the record."""
        return same_environment(*self.run.environments, self.worker.environment)

    def _groups(self) -> Iterator[tuple[Scored, Scored | None, list[int], np.ndarray | None]]:
        """Clean and attacked scores, ids out of bounds, and fresh draws, of the images of some shards."""
        size = SHARD * min(MOST_SHARDS, self.worker.batch // gcd(SHARD, self.worker.batch))  # so that calls are full
        for start in range(0, len(self.run), size):
            ids = self.run.ids[start : start + size]
            evidence = _stored(self.run.path, range(start // SHARD, -(-(start + len(ids)) // SHARD))).of(ids)
            positions = positions_of(ids, self.planned.dataset)
            clean = self._score(ids, positions, self.planned.dataset.floats(positions))
            if not len(evidence):
                yield clean, None, [], None
                continue
            if evidence.images.shape[1:] != self.planned.dataset.images.shape[1:]:
                raise UserError(
                    f"expected adversarial images of shape {self.planned.dataset.images.shape[1:]}, got {evidence.images.shape[1:]}; restore the record"
                )
            positions = positions_of(evidence.ids, self.planned.dataset)
            attacked = self._score(evidence.ids, positions, evidence.images)
            fresh = self.worker.redraw(positions, evidence.images) if self.stochastic else None
            yield clean, attacked, self._strange(evidence), fresh

    def _score(self, ids: np.ndarray, positions: np.ndarray, images: np.ndarray) -> Scored:
        scored = Scored(ids, *self.worker.rescore(positions, images))
        self.done += len(ids)
        self.reporter.scored(self.done, 2 * len(self.run))
        return scored

    def _strange(self, evidence: Evidence) -> list[int]:
        """Images outside ball or box, or at another distance than recorded."""
        dataset, threat = self.planned.dataset, self.planned.threat
        recorded = np.array([self.run.lines[self.run.row_of[sample]].distance for sample in evidence.ids.tolist()])
        moved = evidence.ids[~np.isclose(distances(evidence, dataset, threat), recorded, rtol=1e-4, atol=1e-6)].tolist()
        return sorted({*outside_ball(evidence, dataset, threat), *moved})


def _stored(path: Path, shards: Sequence[int]) -> Evidence:
    """The adversarial images of some shards, those that are stored."""
    files = [path / "adversarial" / f"{shard:05d}.safetensors" for shard in shards]
    parts = [read_shard(file) for file in files if file.exists()]
    if not parts:
        return Evidence(np.zeros(0, np.int64), np.zeros((0, 1, 1, 1), np.float32))
    if len({images.shape[1:] for _, images in parts}) > 1:
        raise UserError(f"expected adversarial images of one shape in {path}, got several; restore the record")
    return Evidence(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _joined(parts: Sequence[Scored]) -> Scored:
    return Scored(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "predictions", "margins"))
    )
