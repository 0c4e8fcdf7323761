"""An engine with one worker, in this process."""

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
    from bench.plan.plan import Plan
    from bench.run.job import Job
    from bench.run.options import Options


class Local:
    """Executes tasks one after the other in this process."""

    workers = 1

    def __init__(self) -> None:
        self.made: tuple[Plan, Options, Worker] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.made = None

    def claims(self, plan: Plan, options: Options) -> dict[str, Any]:
        """The claims of a plan's defense, measured in this process."""
        return self._worker(plan, options).claims()

    def execute(self, tasks: Iterable[Task | None], working: Working) -> Iterator[Done | Failed]:
        """Executes tasks in their order; an error becomes a `Failed`."""
        adopted: Job | None = None
        for task in tasks:
            if task is None:
                time.sleep(PAUSE)
                continue
            try:
                worker = self._worker(task.job.plan, task.job.options)
                if task.job is not adopted:
                    worker.adopt(task.job.record.header, task.job.path, mix=task.job.options.mix_environments)
                    adopted = task.job
                worker.working = partial(working, task)
                lines, images = worker.execute(task.positions)
            except Exception as error:
                yield Failed(task, error)
            else:
                yield Done(task, lines, images, worker.environment_key, worker.environment)

    def _worker(self, plan: Plan, options: Options) -> Worker:
        """The worker of a plan; the last one is kept."""
        if self.made is None or self.made[0] is not plan or self.made[1] is not options:
            self.made = plan, options, Worker(plan, pick_device(options.device), options.batch_size, lambda *_: None)
        return self.made[2]
