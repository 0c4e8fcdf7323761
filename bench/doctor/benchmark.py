"""The speed of the networks of the larger data sets on this machine, and the cost of their suites."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.foreign import out_of_memory
from bench.gradient import GradientMode
from bench.machine.device import pick_device
from bench.machine.memory import synchronize
from bench.models.stand_ins import StandIn, ddpm_cifar10, resnet50, small_imagenet_denoiser, wide_resnet
from bench.plan.cache import Cache
from bench.plan.plan import Plan, plan
from bench.records.record import SHARD
from bench.registry.entry import Entry
from bench.registry.registry import Registry
from bench.run.prediction import Costs, Prediction, Trial, scored, tried
from bench.run.worker import Worker
from bench.suite.cells import Cell, cells_of
from bench.suite.file import find_suite, read_suite
from bench.suite.suite import cell_request

LOG = logging.getLogger("bench.doctor.benchmark")
CPU_IMAGES, GPU_IMAGES, REPEATS = 2, SHARD, 3
SIGMA = 0.3
"""Noise level for score models, pixel units; the time of a pass does not depend on it."""


class Setting(NamedTuple):
    """A data set: its image shape, number of classes, suite, and functions that make its networks."""

    dataset: str
    shape: tuple[int, int, int]
    classes: int
    suite: str
    classifier: Callable[[], StandIn]
    score: Callable[[], StandIn]


SETTINGS = (
    Setting("cifar10", (3, 32, 32), 10, "cifar10-standard", wide_resnet, ddpm_cifar10),
    Setting("imagenet", (3, 224, 224), 1000, "imagenet-standard", resnet50, small_imagenet_denoiser),
)


@dataclass(frozen=True, kw_only=True)
class Network:
    """The seconds that one image takes in a network.

    Arguments:
        dataset: The data set, for the shape of the images.
        role: `classifier` or `score`.
        text: A description of the network.
        parameters: Number of parameters.
        batch: Images in one call.
        seconds: Seconds per image, by kind of pass (`bench.passes.KINDS`).
    """

    dataset: str
    role: str
    text: str
    parameters: int
    batch: int
    seconds: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class CellCost:
    """The cost of one cell of a suite on one worker.

    Arguments:
        suite: Name of the suite.
        cell: Defense and attack.
        images: Number of images.
        least: The cost if every image breaks at once; None if the attack states no bound on its work.
        most: The cost if no image breaks; None likewise.
    """

    suite: str
    cell: str
    images: int
    least: Prediction | None
    most: Prediction | None


def benchmark(registry: Registry, device: str = "auto", settings: tuple[Setting, ...] = SETTINGS) -> dict[str, Any]:
    """Times untrained networks and multiplies by the passes of each cell; nothing is downloaded, run or stored.

    Arguments:
        registry: Finds the suites' defenses and attacks.
        device: Device, as on the command line.
        settings: The data sets.

    Returns:
        A JSON document: `device`, `networks`, `cells`.

    Raises:
        UserError: There is no such device.
    """
    where = pick_device(device.partition(",")[0])
    networks, cells, seen = [], [], dict[str, Trial]()
    for setting in settings:
        LOG.info("timing the networks of %s on %s, then counting passes", setting.suite, where)
        own = [
            _timed(setting, "classifier", setting.classifier(), where),
            _timed(setting, "score", setting.score(), where),
        ]
        networks += own
        seconds = {kind: value for network in own for kind, value in network.seconds.items()}
        cells += _cells(setting, registry, seconds, seen)
    return {
        "device": str(where) if where.type != "cuda" else f"{where}: {torch.cuda.get_device_name(where)}",
        "networks": [asdict(network) for network in networks],
        "cells": [asdict(cell) for cell in cells],
    }


def _timed(setting: Setting, role: str, network: StandIn, device: torch.device) -> Network:
    """The times of a network, at the largest batch that fits."""
    batch, module = CPU_IMAGES if device.type == "cpu" else GPU_IMAGES, network.network.to(device)
    call: Callable[[Tensor], Tensor] = module
    if role == "score":
        call = lambda y: module.denoise(y, SIGMA)  # type: ignore[operator] # noqa: E731
    while True:
        x = torch.full((batch, *setting.shape), 0.5, device=device)
        try:
            seconds = primitives(call, x, role)
            break
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or batch == 1:
                raise
            batch //= 2
    module.to("cpu")
    return Network(
        dataset=setting.dataset,
        role=role,
        text=network.text,
        parameters=network.parameters,
        batch=batch,
        seconds=seconds,
    )


def primitives(call: Callable[[Tensor], Tensor], x: Tensor, role: str) -> dict[str, float]:
    """Seconds per image of each kind of pass, the best of a few repeats after one that loads kernels.

    Passes are those that records count: a gradient is a forward and a backward pass, a Hessian-vector product those two and an
    `hvp`.

    Arguments:
        call: A frozen network.
        x: Images `(B, C, H, W)` on its device.
        role: `classifier` or `score`; only the latter is differentiated twice.
    """
    computed: dict[str, Callable[[], object]] = {"forward": lambda: call(x), "gradient": lambda: _gradient(call, x)}
    if role == "score":
        computed["product"] = lambda: _product(call, x)
    best = dict.fromkeys(computed, math.inf)
    for turn in range(1 + REPEATS):  # in turn, so that other load on the machine affects all of them
        for name, compute in computed.items():
            seconds = _clocked(compute, x.device)
            best[name] = min(best[name], seconds) if turn else math.inf
    parts = {f"{role}_forward": best["forward"], f"{role}_backward": best["gradient"] - best["forward"]}
    if role == "score":
        parts["score_hvp"] = best["product"] - best["gradient"]
    return {kind: max(value, 0.0) / len(x) for kind, value in parts.items()}


def _gradient(call: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    leaf = x.detach().requires_grad_()
    return torch.autograd.grad(call(leaf).square().sum(), leaf)[0]


def _product(call: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    leaf = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(call(leaf).square().sum(), leaf, create_graph=True)
    return torch.autograd.grad(slope, leaf, torch.ones_like(slope))[0]


def _clocked(compute: Callable[[], object], device: torch.device) -> float:
    synchronize(device)
    started = time.perf_counter()
    compute()
    synchronize(device)
    return time.perf_counter() - started


def _cells(
    setting: Setting, registry: Registry, seconds: Mapping[str, float], seen: dict[str, Trial]
) -> list[CellCost]:
    """The cost of each cell of a suite: passes, counted with small networks on small images, times the seconds of each."""
    path = find_suite(setting.suite)
    small, cache = _small(registry, setting), Cache()
    costs = []
    for cell in cells_of(read_suite(path), path):
        planned = plan(cell_request(cell), small, cache)
        costs.append(_cost(setting.suite, cell, planned, Costs(partial(_counted, planned, seconds, seen))))
    return costs


def _counted(planned: Plan, seconds: Mapping[str, float], seen: dict[str, Trial], mode: GradientMode) -> Trial:
    key = f"{planned.spec.defense} {mode}"
    if key not in seen:
        seen[key] = tried(Worker(planned, torch.device("cpu"), CPU_IMAGES, lambda *_: None), mode)
    passes = seen[key].passes
    return replace(seen[key], seconds=sum(count * seconds.get(kind, 0.0) for kind, count in passes.items()))


def _cost(suite: str, cell: Cell, planned: Plan, costs: Costs) -> CellCost:
    images = cell.samples or len(planned.dataset)
    if planned.whole_shards:
        images = -(-images // SHARD) * SHARD
    least, most = (
        costs.of(images, scored(planned.work * share, planned), planned.gradient) if planned.work else None
        for share in (0, 1)
    )
    return CellCost(
        suite=suite, cell=f"{cell.text('defense')} under {cell.text('attack')}", images=images, least=least, most=most
    )


def _small(registry: Registry, setting: Setting) -> Registry:
    """The same defenses and attacks, with small networks and images in place of the data set's own."""
    own = "bench.models.stand_ins:"
    images = Entry(
        f"{own}small_images",
        "",
        {"name": setting.dataset, "classes": setting.classes},
        defaults={"classifier": "small", "score_model": "small"},
    )
    return Registry(
        {
            **registry.tables,
            "datasets": {setting.dataset: images},
            "classifiers": {"small": Entry(f"{own}small_classifier", "")},
            "score_models": {"small": Entry(f"{own}small_denoiser", "")},
        }
    )
