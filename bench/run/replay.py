"""Repeats a recorded run: its plan from current code, and the worker that scores its images again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.figures.runs import Run
from bench.keyed import ALONE
from bench.machine.device import pick_device
from bench.plan.plan import Plan, plan
from bench.plan.request import request_of
from bench.records.evidence import Evidence, positions_of
from bench.records.header import Header
from bench.records.spec import differences
from bench.registry.registry import Registry
from bench.run.worker import Worker


def replan(header: Header, registry: Registry, data_dir: Path | None = None) -> Plan:
    """The plan of a recorded run, from the current code of its names.

    Raises:
        UserError: A name or an argument of the record no longer exists.
    """
    return plan(request_of(header, data_dir), registry)


def check_unchanged(run: Run, planned: Plan) -> None:
    """Checks that the parts of a recorded run are what they were.

    Raises:
        UserError: One is not.
    """
    changed = differences(run.spec, planned.spec)
    if changed:
        raise UserError("run-changed", run_id=run.run_id, changed="; ".join(changed))


def worker_of(run: Run, planned: Plan, *, device: str = "auto", batch_size: int | None = None) -> Worker:
    """The worker that scores the images of a run again.

    Its batch size is that of the run, unless another one is given or memory needs a smaller one.

    Arguments:
        run: The run.
        planned: Its plan.
        device: As on the command line.
        batch_size: Images in one network call; the record's if left out.

    Raises:
        UserError: The run goes image by image, and another batch size is given; or its draws are those of generators of
            another kind of device.
    """
    alone = planned.spec.batch_size
    if alone and batch_size not in (None, alone):
        raise UserError("batch-size-recorded", wanted=alone, run_id=run.run_id, batch_size=batch_size)
    worker = Worker(planned, pick_device(device), batch_size, lambda *_: None)
    kinds = {part.device for part in run.header.environments.values()}
    if planned.spec.keyed == ALONE and worker.device.type not in kinds:
        raise UserError(
            "draws-of-other-device",
            kinds=" or ".join(map(str, kinds)),
            run=run.run_id,
            got=worker.device.type,
        )
    if batch_size is None and not alone:
        recorded = (part.batch_size for part in run.header.environments.values())
        worker.batch = next((size for size in recorded if size), worker.batch)
    return worker


def purified(
    run: Run, evidence: Evidence, registry: Registry, *, data_dir: Path | None = None, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Clean and adversarial images as the classifier sees them, under the first scored draw.

    Arguments:
        run: The run.
        evidence: The images to purify.
        registry: Maps the names of the run to components.
        data_dir: Folder of data sets.
        device: As on the command line.
    """
    planned = replan(run.header, registry, data_dir)
    check_unchanged(run, planned)
    worker = Worker(planned, pick_device(device), len(evidence), lambda *_: None)
    positions = positions_of(evidence.ids, planned.dataset)
    return worker.purify(positions, planned.dataset.floats(positions)), worker.purify(positions, evidence.images)
