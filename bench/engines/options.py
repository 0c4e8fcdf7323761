"""The choice of an engine and of its workers."""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import UserError

ENGINES = ("local", "ray")


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Options of an engine; none is part of the run id, and none changes a number.

    Arguments:
        name: `local` or `ray`.
        workers: The number of workers, at least 1; None for one per device.
        devices: Devices as `--device` names them: one, or several of one machine.
        gpus_per_worker: For Ray: GPUs of a worker, or its share of one; None for one if the cluster has any.
        address: For Ray: a cluster's address, or `auto`; None starts one on this machine.
        shard_timeout: Seconds after which a shard is sent to a new worker; None for 20 times the longest shard so far.
    """

    name: str = "local"
    workers: int | None = None
    devices: tuple[str, ...] = ("auto",)
    gpus_per_worker: float | None = None
    address: str | None = None
    shard_timeout: float | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise UserError("engine-unknown", engines=" or ".join(ENGINES), name=self.name)
        if self.workers is not None and not 1 <= self.workers <= 4096:
            raise UserError("engine-workers", workers=self.workers)
        if self.shard_timeout is not None and not self.shard_timeout > 0:
            raise UserError("engine-timeout", shard_timeout=self.shard_timeout)
        if self.gpus_per_worker is not None and not 0 <= self.gpus_per_worker <= 64:
            raise UserError("engine-gpus", gpus_per_worker=self.gpus_per_worker)
        self._check_ray()

    def _check_ray(self) -> None:
        if self.name != "ray" and (self.address is not None or self.gpus_per_worker is not None):
            raise UserError("ray-options-unused")
        if self.name == "ray" and (len(self.devices) > 1 or ":" in self.devices[0]):
            raise UserError("ray-device", devices=",".join(self.devices))

    @property
    def count(self) -> int:
        """The number of workers."""
        return self.workers or len(self.devices)
