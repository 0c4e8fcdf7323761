"""One worker, in this process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from bench.machine.device import pick_device
from bench.run.engine import PAUSE, Done, Failed, Task, Working
from bench.run.worker import Worker

if TYPE_CHECKING:
    from bench.run.job import Job


class Here:
    """Executes one task after the other."""

    workers = 1

    def __init__(self) -> None:
        self.job: Job | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.job = None

    def claims(self, job: Job) -> dict[str, Any]:
        """What the defense claims, verified here."""
        return self._worker(job).claims()

    def execute(self, tasks: Iterable[Task | None], working: Working) -> Iterator[Done | Failed]:
        """Executes tasks in their order; an error becomes a result."""
        adopted: Job | None = None
        for task in tasks:
            if task is None:
                time.sleep(PAUSE)
                continue
            try:
                worker = self._worker(task.job)
                if task.job is not adopted:
                    worker.adopt(task.job.record.header, task.job.path, mix=task.job.options.mix_environments)
                    adopted = task.job
                worker.working = partial(working, task)
                lines, images = worker.execute(task.positions)
            except Exception as error:
                yield Failed(task, error)
            else:
                yield Done(task, lines, images, worker.environment_key, worker.environment)

    def _worker(self, job: Job) -> Worker:
        if self.job is not job:
            device = pick_device(job.options.device)
            self.worker = Worker(job.plan, device, job.options.batch_size, lambda *_: None)
            self.job = job
        return self.worker
