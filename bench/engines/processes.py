"""Workers as processes of this machine, which exit with the process that started them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from threading import Thread
from typing import Any

from bench.engines.options import EngineOptions
from bench.engines.pool import Event, Pool
from bench.engines.session import Order, Session, portable
from bench.registry.registry import Registry

ATTEMPTS = 3
STDERR = 2


def process_engine(options: EngineOptions, registry: Registry) -> Pool:
    """An engine whose workers are processes of this machine, on the devices in turn."""
    return Pool(Processes(options.count, registry), options.devices, options.shard_timeout)


class Processes:
    """A crew of processes.

    Arguments:
        size: The number of processes.
        registry: Maps names to components.
    """

    attempts = ATTEMPTS

    def __init__(self, size: int, registry: Registry) -> None:
        self.size, self.registry = size, registry
        self.staff: list[tuple[subprocess.Popen[bytes], Connection]] = []

    def start(self) -> None:
        """Starts the processes; each one loads the run of its first order."""
        self.staff = [self._hire() for _ in range(self.size)]

    def send(self, worker: int, order: Order) -> None:
        """Sends an order to a process; `wait` reports a process that has exited."""
        with contextlib.suppress(OSError):
            self.staff[worker][1].send(order)

    def wait(self, seconds: float) -> list[Event]:
        """Messages of the processes, and exits."""
        numbers = {connection: number for number, (_, connection) in enumerate(self.staff)}
        return [self._receive(numbers[ready], ready) for ready in wait(list(numbers), seconds)]  # type: ignore[index,arg-type]

    def renew(self, worker: int) -> None:
        """Kills a process and starts another one."""
        self._dismiss(*self.staff[worker])
        self.staff[worker] = self._hire()

    def stop(self) -> None:
        """Kills all processes."""
        for process, connection in self.staff:
            self._dismiss(process, connection)
        self.staff = []

    def _receive(self, worker: int, connection: Connection) -> Event:
        try:
            kind, value = connection.recv()
        except (EOFError, OSError):
            code = self.staff[worker][0].wait()
            return Event(worker, "lost", f"ended by signal {-code}" if code < 0 else f"exit code {code}")
        return Event(worker, kind, value)

    def _hire(self) -> tuple[subprocess.Popen[bytes], Connection]:
        ours, theirs = socket.socketpair()
        code = f"import sys; sys.path[:] = {sys.path!r}; from bench.engines.processes import serve; serve({theirs.fileno()})"
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=STDERR,
        )
        theirs.close()
        connection = Connection(ours.detach())
        connection.send((self.registry, max(1, (os.cpu_count() or 1) // self.size)))
        return process, connection

    @staticmethod
    def _dismiss(process: subprocess.Popen[bytes], connection: Connection) -> None:
        connection.close()
        process.kill()
        process.wait()


def serve(number: int) -> None:
    """Runs a worker: receives orders on a connection and sends results, until the other end closes.

    Arguments:
        number: File descriptor of the connection.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the whole group; the driver decides
    with contextlib.suppress(EOFError, OSError):
        _serve(Connection(number))


def _serve(connection: Connection) -> None:
    registry, threads = connection.recv()
    orders: SimpleQueue[Order] = SimpleQueue()
    Thread(target=_receive_all, args=(connection, orders), daemon=True).start()

    import torch

    torch.set_num_threads(threads)
    session = Session(registry, lambda *progress: connection.send(("working", progress)))
    while True:
        connection.send(_answer(session, orders.get()))


def _receive_all(connection: Connection, orders: SimpleQueue[Order]) -> None:
    """Queues the orders; exits the process as soon as its driver is gone."""
    while True:
        try:
            orders.put(connection.recv())
        except (EOFError, OSError):
            os._exit(1)


def _answer(session: Session, order: Order) -> tuple[str, Any]:
    try:
        return "done", session(order)
    except Exception as error:
        return "failed", portable(error)
