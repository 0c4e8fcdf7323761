"""The session of a worker process: plans a run by its names and executes orders of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import BenchError, WorkerError
from bench.machine.device import pick_device
from bench.plan.cache import Cache
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.records.header import Header
from bench.records.lines import SampleRecord
from bench.registry.registry import Registry
from bench.run.worker import Worker


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order to a worker; it can be repeated on another worker.

    Arguments:
        request: The run, by names.
        run_id: The id of the run, which the worker must reproduce.
        device: The device.
        batch_size: Images in one network call; None for auto.
        mix: Whether the record may be resumed under another device kind or torch release.
        path: The record's folder, for messages.
        header: The record's header; None for a new record.
        positions: Positions in the data set's order; None requests the claims.
    """

    request: Request
    run_id: str
    device: str
    batch_size: int | None
    mix: bool
    path: Path
    header: Header | None
    positions: np.ndarray | None


@dataclass(frozen=True)
class Result:
    """Lines, adversarial images, and their environment."""

    lines: list[SampleRecord]
    images: np.ndarray
    key: str
    environment: dict[str, Any]


class Session:
    """Executes orders; networks and data are kept for the next one.

    Arguments:
        registry: Maps names to components.
        working: Receives the finished share of an attack's work, the number of unbroken images, and the number of all.
    """

    def __init__(self, registry: Registry, working: Callable[[float, int, int], None]) -> None:
        self.registry, self.working = registry, working
        self.cache = Cache()
        self.run: tuple[str, str] | None = None
        self.loads = 0

    def __call__(self, order: Order) -> Result | dict[str, Any]:
        """The result of an order: claims, or a part of a shard.

        Raises:
            WorkerError: This machine has other weights, data or code than the sender of the order.
        """
        worker = self._worker(order)
        if order.positions is None:
            return worker.claims()
        lines, images = worker.execute(order.positions)
        return Result(lines, images, worker.environment_key, worker.environment)

    def _worker(self, order: Order) -> Worker:
        if self.run != (order.run_id, order.device):
            planned = plan(order.request, self.registry, self.cache)
            if planned.spec.run_id != order.run_id:
                raise WorkerError("worker-plan-differs", wanted=order.run_id, got=planned.spec.run_id)
            self.worker = Worker(planned, pick_device(order.device), order.batch_size, self.working)
            if order.header is not None:
                self.worker.adopt(order.header, order.path, mix=order.mix)
            self.run, self.loads = (order.run_id, order.device), self.loads + 1
        return self.worker


def portable(error: BaseException) -> BenchError:
    """An error that can be sent between processes: a `BenchError` as it is, any other as a `WorkerError` with its message."""
    if isinstance(error, BenchError):
        return error
    return WorkerError("worker-failed", kind=type(error).__name__, error=error)
