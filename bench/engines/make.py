"""Makes the engine that the options name."""

from __future__ import annotations

from bench.engines.options import EngineOptions
from bench.registry.registry import Registry
from bench.run.engine import Engine


def make_engine(options: EngineOptions, registry: Registry) -> Engine:
    """The engine that the options name.

    Raises:
        UserError: Ray is requested and not installed.
    """
    if options.name == "ray":
        from bench.engines.ray import ray_engine

        return ray_engine(options, registry)
    if options.count == 1 and options.shard_timeout is None:
        from bench.run.local import Local

        return Local()
    from bench.engines.processes import process_engine

    return process_engine(options, registry)
