"""What every engine does: takes tasks, gives results in whatever order they come."""

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
        job: The record that they are for.
        shard: Number of the shard.
        positions: Their positions in the data set's order.
    """

    job: Job
    shard: int
    positions: np.ndarray


@dataclass(frozen=True, eq=False)
class Done:
    """A task that was executed.

    Arguments:
        task: Which.
        lines: One line per image.
        images: The adversarial images, float32 `(B, C, H, W)`.
        key: Of the environment that the lines name.
        environment: Where it was executed.
    """

    task: Task
    lines: list[SampleRecord]
    images: np.ndarray
    key: str
    environment: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Failed:
    """A task that could not be executed, and why."""

    task: Task
    error: Exception


PAUSE = 1.0
"""Seconds until an engine asks again for a task where there was none."""

Working = Callable[[Task, float, int, int], None]
"""Told of a task the share of its attack's work that is done, how many images stand, and of how many."""


class Engine(Protocol):
    """Executes tasks on its workers; a context, whose end stops them."""

    workers: int

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def claims(self, plan: Plan, options: Options) -> dict[str, Any]:
        """The claims of a plan's defense, as one worker measured them."""
        ...

    def execute(self, tasks: Iterable[Task | None], working: Working) -> Iterator[Done | Failed]:
        """Executes tasks, which it takes only when a worker is free.

        Arguments:
            tasks: What is to be done; the next one may depend on what was given back before. None stands for nothing
                at the moment: ask again later.
            working: Hears how the tasks go on.
        """
        ...
