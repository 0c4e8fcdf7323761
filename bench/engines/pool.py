"""Distributes tasks over several workers: keeps each busy, repeats lost tasks, and gives up on tasks that hang."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np
from typing_extensions import Self

from bench.engines.session import Order, Result
from bench.errors import WorkerError
from bench.records.header import Header
from bench.run.engine import PAUSE, Done, Failed, Task, Working
from bench.run.job import record_path

if TYPE_CHECKING:
    from bench.plan.plan import Plan
    from bench.run.options import Options

LEAST_PATIENCE, LONGEST_TIMES = 600.0, 20.0
"""Without `--shard-timeout` a shard has this many seconds, or this multiple of the longest shard so far if that is more."""
HANGS = 2
"""Attempts that may time out before a shard fails."""
_NO_MORE = object()
TICK = 1.0
"""Seconds between two looks at the clock."""


@dataclass(frozen=True)
class Event:
    """News of a worker.

    Arguments:
        worker: Its number.
        kind: The worker is `working` or `lost`, or its order is `done` or `failed`.
        value: For `working` the finished share, the unbroken images and all images; for `done` the result; for `failed` the
            error; for `lost` how it was lost.
    """

    worker: int
    kind: Literal["working", "done", "failed", "lost"]
    value: Any = None


class Crew(Protocol):
    """Numbered workers; each has one order at a time."""

    size: int
    attempts: int
    """Largest number of attempts for an order whose worker is lost; 1 if the crew repeats orders itself."""

    def start(self) -> None:
        """Starts the workers."""

    def send(self, worker: int, order: Order) -> None:
        """Gives a free worker its next order."""

    def wait(self, seconds: float) -> list[Event]:
        """The events until now; waits for the first one, at most this time."""

    def renew(self, worker: int) -> None:
        """Kills a worker and starts a new one in its place."""

    def stop(self) -> None:
        """Kills all workers."""


@dataclass
class Flight:
    """An order in progress: for a task, or for the claims of a plan."""

    order: Order
    task: Task | None
    since: float = field(default_factory=time.monotonic)
    losses: int = 0
    hangs: int = 0


class Pool:
    """An engine of several workers.

    Arguments:
        crew: The workers.
        devices: Their devices, in turn.
        shard_timeout: Seconds that a shard may take; None for a multiple of the longest shard so far.
    """

    def __init__(self, crew: Crew, devices: tuple[str, ...], shard_timeout: float | None) -> None:
        self.crew, self.devices, self.timeout = crew, devices, shard_timeout
        self.workers = crew.size
        self.free = list(range(crew.size))
        self.flights: dict[int, Flight] = {}
        self.results: list[Done | Failed] = []
        self.answer: Result | dict[str, Any] | Exception | None = None
        self.longest = 0.0
        self.working: Working = lambda *_: None

    def __enter__(self) -> Self:
        try:
            self.crew.start()
        except BaseException:
            self.crew.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.crew.stop()

    def claims(self, plan: Plan, options: Options) -> dict[str, Any]:
        """The claims of a plan's defense, measured by a free worker while the others work on."""
        while not self.free:
            self._look()
        self.answer = None
        self._send(_order(plan, options), None)
        while self.answer is None:
            self._look()
        if isinstance(self.answer, Exception):
            raise self.answer
        return cast(dict[str, Any], self.answer)

    def execute(self, tasks: Iterable[Task | None], working: Working) -> Iterator[Done | Failed]:
        """Executes tasks, one per worker at a time; takes the next task only when a worker is free."""
        self.working, upcoming = working, iter(tasks)
        more = True
        while more or self.flights or self.results:
            while self.results:
                yield self.results.pop(0)
            asked = False
            while more and self.free and not asked:
                task = next(upcoming, _NO_MORE)
                more, asked = task is not _NO_MORE, task is None
                if isinstance(task, Task):
                    job = task.job
                    self._send(_order(job.plan, job.options, job.record.header, task.positions), task)
            if self.flights:
                self._look()
            elif asked and not self.results:
                time.sleep(PAUSE)

    def _send(self, order: Order, task: Task | None) -> None:
        worker = self.free.pop(0)
        self.flights[worker] = Flight(order, task)
        self.crew.send(worker, self._placed(order, worker))

    def _placed(self, order: Order, worker: int) -> Order:
        device = self.devices[worker % len(self.devices)]
        return Order(**{**vars(order), "device": device})

    def _look(self) -> None:
        for event in self.crew.wait(TICK):
            if event.worker in self.flights:
                self._hear(event, self.flights[event.worker])
        now = time.monotonic()
        for worker, flight in list(self.flights.items()):
            if now - flight.since > self._patience():
                self._hung(worker, flight)

    def _patience(self) -> float:
        if self.timeout is not None:
            return self.timeout
        return max(LEAST_PATIENCE, LONGEST_TIMES * self.longest) if self.longest else math.inf

    def _hear(self, event: Event, flight: Flight) -> None:
        if event.kind == "working":
            if flight.task is not None:
                self.working(flight.task, *event.value)
        elif event.kind == "lost":
            self._lost(event.worker, flight, event.value)
        else:
            self.longest = max(self.longest, time.monotonic() - flight.since)
            self._land(event.worker, flight, event.value)

    def _land(self, worker: int, flight: Flight, value: Any) -> None:
        del self.flights[worker]
        self.free.append(worker)
        if flight.task is None:
            self.answer = value
        elif isinstance(value, Exception):
            self.results.append(Failed(flight.task, value))
        else:
            self.results.append(Done(flight.task, value.lines, value.images, value.key, value.environment))

    def _lost(self, worker: int, flight: Flight, how: str) -> None:
        flight.losses += 1
        error = WorkerError("worker-lost", task=_what(flight), how=how)
        self._retry(worker, flight, error, again=flight.losses < self.crew.attempts)

    def _hung(self, worker: int, flight: Flight) -> None:
        flight.hangs += 1
        error = WorkerError("worker-hung", task=_what(flight), seconds=self._patience(), attempts=HANGS)
        self._retry(worker, flight, error, again=flight.hangs < HANGS)

    def _retry(self, worker: int, flight: Flight, error: WorkerError, *, again: bool) -> None:
        """Repeats the order on a new worker, or fails its task."""
        self.crew.renew(worker)
        if again:
            flight.since = time.monotonic()
            self.crew.send(worker, self._placed(flight.order, worker))
        else:
            self._land(worker, flight, error)


def _order(plan: Plan, options: Options, header: Header | None = None, positions: np.ndarray | None = None) -> Order:
    """An order for images of a record; without positions, for the claims."""
    return Order(
        request=plan.request,
        run_id=plan.spec.run_id,
        device=options.device,
        batch_size=options.batch_size,
        mix=options.mix_environments,
        path=record_path(plan, options.results),
        header=header,
        positions=positions,
    )


def _what(flight: Flight) -> str:
    return "the claims" if flight.task is None else f"shard {flight.task.shard} of run {flight.order.run_id}"
