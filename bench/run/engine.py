"""The protocol of engines: they take tasks and give results, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from typing_extensions import Self

if TYPE_CHECKING:
    from bench.plan.plan import Plan
    from bench.records.lines import SampleRecord
    from bench.run.job import Job
    from bench.run.options import Options


@dataclass(frozen=True, eq=False)
class Task:
    """Images of one shard of one job.

    Arguments:
        job: The job that they belong to.
        shard: Number of the shard.
        positions: Their positions in the data set's order.
    """

    job: Job
    shard: int
    positions: np.ndarray


@dataclass(frozen=True, eq=False)
class Done:
    """A finished task.

    Arguments:
        task: The task.
        lines: One line per image.
        images: The adversarial images, float32 `(B, C, H, W)`.
        key: The key of the environment, which the lines name.
        environment: The environment in which it was executed.
    """

    task: Task
    lines: list[SampleRecord]
    images: np.ndarray
    key: str
    environment: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Failed:
    """A task that failed, and its error."""

    task: Task
    error: Exception


PAUSE = 1.0
"""Seconds until an engine asks again for a task after there was none."""

Working = Callable[[Task, float, int, int], None]
"""Receives a task, the finished share of its attack's work, the number of unbroken images, and the number of all its images."""


class Engine(Protocol):
    """Executes tasks on its workers; a context manager whose exit stops them."""

    workers: int

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def claims(self, plan: Plan, options: Options) -> dict[str, Any]:
        """The claims of a plan's defense, measured by one worker."""
        ...

    def execute(self, tasks: Iterable[Task | None], working: Working) -> Iterator[Done | Failed]:
        """Executes tasks, which it takes only when a worker is free.

        Arguments:
            tasks: The tasks; the next one may depend on earlier results. None means that there is no task at the moment:
                ask again later.
            working: Receives the progress of the tasks.
        """
        ...
