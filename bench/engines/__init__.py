"""Engines that execute shards: in this process, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

from bench.engines.make import make_engine
from bench.engines.options import ENGINES, EngineOptions
from bench.run.engine import Done, Engine, Failed, Task, Working

__all__ = ["ENGINES", "Done", "Engine", "EngineOptions", "Failed", "Task", "Working", "make_engine"]
