"""Workers as Ray actors with a share of a GPU each; Ray restarts lost ones and repeats their shards."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Any

from bench.engines.options import EngineOptions
from bench.engines.pool import Event, Pool
from bench.engines.session import Order, Session, portable
from bench.errors import UserError, WorkerError
from bench.registry.registry import Registry

RETRIES = 2
"""Number of times that Ray restarts a worker and repeats its shard."""
STARTING = 300.0
"""Seconds that the cluster has to start the workers."""


def ray_engine(options: EngineOptions, registry: Registry) -> Pool:
    """An engine whose workers are Ray actors.

    Raises:
        UserError: Ray is not installed.
    """
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise UserError("ray-missing", error=error) from error
    return Pool(Actors(options, registry), options.devices, options.shard_timeout)


class Actors:
    """A crew of Ray actors.

    Arguments:
        options: Number of actors, their share of a GPU, and the cluster.
        registry: Maps names to components.
    """

    attempts = 1

    def __init__(self, options: EngineOptions, registry: Registry) -> None:
        self.options, self.registry, self.size = options, registry, options.count
        self.staff: list[Any] = []
        self.orders: dict[Any, int] = {}
        self.looks: dict[Any, int] = {}

    def start(self) -> None:
        """Joins or starts a cluster and starts the workers in it.

        Raises:
            UserError: There is no such cluster, or it has too few resources for the workers.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        stop = signal.getsignal(signal.SIGTERM)
        where = (
            {"address": self.options.address}
            if self.options.address
            else {"num_cpus": self.size, "include_dashboard": False}
        )
        try:
            ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError("ray-cluster", address=self.options.address or "of this machine", error=error) from error
        finally:
            if signal.getsignal(signal.SIGTERM) is not stop:
                signal.signal(signal.SIGTERM, stop)  # Ray replaces it
        self.gpus = self._gpus()
        self._check_resources()
        self.staff = [self._hire() for _ in range(self.size)]
        self._await()

    def send(self, worker: int, order: Order) -> None:
        """Sends an order to an actor."""
        self.orders[self.staff[worker].execute.remote(order)] = worker

    def wait(self, seconds: float) -> list[Event]:
        """A finished order, or else the progress of the others."""
        import ray

        ready, _ = ray.wait(list(self.orders), num_returns=1, timeout=seconds)
        if ready:
            return [self._receive(reference, self.orders.pop(reference)) for reference in ready]
        heard, _ = ray.wait(list(self.looks), num_returns=len(self.looks), timeout=0) if self.looks else ([], [])
        events = [event for event in map(self._heard, heard) if event]
        asked = set(self.looks.values())
        self.looks |= {
            self.staff[worker].look.options(concurrency_group="looks").remote(): worker
            for worker in self.orders.values()
            if worker not in asked
        }
        return events

    def renew(self, worker: int) -> None:
        """Kills an actor, so that Ray does not restart it, and starts another one."""
        self._forget(worker)
        self._end(self.staff[worker])
        self.staff[worker] = self._hire()

    def stop(self) -> None:
        """Kills the actors; a cluster that was only joined keeps running."""
        import ray

        for actor in self.staff:
            self._end(actor)
        self.staff, self.orders, self.looks = [], {}, {}
        ray.shutdown()

    def _gpus(self) -> float:
        import ray

        if self.options.gpus_per_worker is not None:
            return self.options.gpus_per_worker
        return 1.0 if self.options.devices[0] != "cpu" and ray.cluster_resources().get("GPU") else 0.0

    def _check_resources(self) -> None:
        import ray

        have = ray.cluster_resources()
        for name, each in (("CPU", 1.0), ("GPU", self.gpus)):
            if each * self.size > have.get(name, 0.0) + 1e-9:
                raise UserError(
                    "ray-resources",
                    wanted=each * self.size,
                    name=name,
                    size=self.size,
                    share=each,
                    available=have.get(name, 0.0),
                )

    def _hire(self) -> Any:
        import ray

        remote: Any = ray.remote
        described = remote(
            num_cpus=1,
            num_gpus=self.gpus,
            max_restarts=RETRIES,
            max_task_retries=RETRIES,
            concurrency_groups={"looks": 1},
        )
        return described(RayWorker).remote(self.registry, Path.cwd())

    def _await(self) -> None:
        """Waits until every worker answers."""
        import ray

        answers = [actor.look.options(concurrency_group="looks").remote() for actor in self.staff]
        ready, _ = ray.wait(answers, num_returns=len(answers), timeout=STARTING)
        if len(ready) < len(answers):
            raise WorkerError("ray-workers-late", size=self.size, seconds=STARTING, ready=len(ready))

    def _receive(self, reference: Any, worker: int) -> Event:
        import ray

        try:
            kind, value = ray.get(reference)
        except ray.exceptions.RayError as error:
            return Event(worker, "lost", f"{type(error).__name__} after {RETRIES} restarts by Ray")
        self._forget(worker)
        return Event(worker, kind, value)

    def _heard(self, reference: Any) -> Event | None:
        import ray

        worker = self.looks.pop(reference)
        try:
            progress = ray.get(reference)
        except ray.exceptions.RayError:
            return None
        return Event(worker, "working", progress) if progress and worker in self.orders.values() else None

    def _forget(self, worker: int) -> None:
        """Drops the open requests to a worker."""
        self.orders = {reference: other for reference, other in self.orders.items() if other != worker}
        self.looks = {reference: other for reference, other in self.looks.items() if other != worker}

    @staticmethod
    def _end(actor: Any) -> None:
        import ray

        ray.kill(actor, no_restart=True)


class RayWorker:
    """The class of the actors.

    Arguments:
        registry: Maps names to components.
        folder: The driver's working folder, to which paths are relative; it must exist on every machine.
    """

    def __init__(self, registry: Registry, folder: Path) -> None:
        if folder.is_dir():
            os.chdir(folder)
        self.progress: tuple[float, int, int] | None = None
        self.session = Session(registry, self._working)

    def execute(self, order: Order) -> tuple[str, Any]:
        """Executes an order: `done` with its result, or `failed` with its error."""
        self.progress = None
        try:
            return "done", self.session(order)
        except Exception as error:
            return "failed", portable(error)

    def look(self) -> tuple[float, int, int] | None:
        """The progress of the order, answered while it is executed."""
        return self.progress

    def _working(self, done: float, unbroken: int, images: int) -> None:
        self.progress = (done, unbroken, images)
