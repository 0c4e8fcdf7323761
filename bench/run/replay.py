"""A recorded run again: its plan from its spec, and its stored adversarial images scored anew, without any attack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.figures.runs import Run
from bench.machine.device import pick_device
from bench.plan.plan import Plan, plan
from bench.plan.request import request_of
from bench.records.evidence import Evidence, outside_ball, positions_of, read_evidence
from bench.records.spec import differences
from bench.registry.registry import Registry
from bench.run.worker import Worker


@dataclass(frozen=True, eq=False)
class Rescored:
    """What stored images give here and now.

    Arguments:
        ids: Sample ids, shape `(n,)`.
        labels: Their classes, `(n,)`.
        predictions: `(n, k)`.
        margins: `(n, k)`.
        outside: Ids of images outside the ball or [0, 1].
        changed: What the spec of the same names and arguments differs in here, as phrases.
        environment: Where they were scored.
    """

    ids: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    margins: np.ndarray
    outside: list[int]
    changed: list[str]
    environment: dict[str, Any]


def replan(header: Mapping[str, Any], registry: Registry, data_dir: Path | None = None) -> Plan:
    """The plan of a recorded run as its names and arguments stand for it today.

    Raises:
        UserError: A name or an argument of the record exists no more.
    """
    return plan(request_of(header, data_dir), registry)


def worker_of(run: Run, planned: Plan, *, device: str = "auto", batch_size: int | None = None) -> Worker:
    """What scores the images of a run again: in the run's own batch size, unless another one is given or memory wants a smaller one.

    Arguments:
        run: The run.
        planned: Its plan.
        device: As on the command line.
        batch_size: Images in one network call; the record's if left out.

    Raises:
        UserError: The run goes image by image, and another batch size is given.
    """
    alone = planned.spec.batch_size
    if alone and batch_size not in (None, alone):
        raise UserError(
            f"expected --batch-size {alone}, which is part of run {run.run_id}, got {batch_size}; leave it out"
        )
    worker = Worker(planned, pick_device(device), batch_size, lambda *_: None)
    if batch_size is None and not alone:
        recorded = (part.get("batch_size") for part in run.header["environments"].values())
        worker.batch = next((size for size in recorded if size), worker.batch)
    return worker


def rescore(
    run: Run, registry: Registry, *, data_dir: Path | None = None, device: str = "auto", planned: Plan | None = None
) -> Rescored | None:
    """Scores the stored adversarial images of a run again, with its own draws and its own batch size.

    Arguments:
        run: The run.
        registry: What its names stand for.
        data_dir: Where data sets lie.
        device: As on the command line.
        planned: The run's plan, if it was made already.

    Returns:
        None if the run stores no adversarial images.

    Raises:
        UserError: A name of the record exists no more, or a file is damaged.
    """
    evidence = read_evidence(run.path)
    if evidence is None:
        return None
    planned = planned or replan(run.header, registry, data_dir)
    worker = worker_of(run, planned, device=device)
    evidence = evidence.of(run.ids)
    positions = positions_of(evidence.ids, planned.dataset)
    predictions, margins = worker.rescore(positions, evidence.images)
    return Rescored(
        evidence.ids, planned.dataset.labels[positions], predictions, margins,
        outside_ball(evidence, planned.dataset, planned.threat), differences(run.spec, planned.spec.model_dump()),
        worker.environment,
    )  # fmt: skip


def purified(
    run: Run, evidence: Evidence, registry: Registry, *, data_dir: Path | None = None, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """What the classifier is shown of the clean and of the adversarial images, under the first scored draw.

    Arguments:
        run: The run.
        evidence: The images to purify.
        registry: What the names of the run stand for.
        data_dir: Where data sets lie.
        device: As on the command line.
    """
    planned = replan(run.header, registry, data_dir)
    changed = differences(run.spec, planned.spec.model_dump())
    if changed:
        raise UserError(
            f"expected the parts of run {run.run_id} as they were, got changes: {'; '.join(changed)}; run it again"
        )
    worker = Worker(planned, pick_device(device), len(evidence), lambda *_: None)
    positions = positions_of(evidence.ids, planned.dataset)
    return worker.purify(positions, planned.dataset.floats(positions)), worker.purify(positions, evidence.images)
