"""Options that several commands take: which engine, and how it spreads shards."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

EngineName = Annotated[str, typer.Option("--engine", help="local or ray: where shards are executed.")]
Workers = Annotated[Optional[int], typer.Option("--workers", help="Shards executed at once. [default: one per device]")]
GpusPerWorker = Annotated[
    Optional[float],
    typer.Option(
        "--gpus-per-worker", help="With ray: GPUs a worker holds, 0.5 for two a GPU. [default: 1 if there are any]"
    ),
]
Address = Annotated[
    Optional[str], typer.Option("--address", help="With ray: a running cluster's, or auto. [default: start one here]")
]
ShardTimeout = Annotated[
    Optional[float],
    typer.Option(
        "--shard-timeout",
        help="Seconds until a shard is tried again. [default with several workers: 20 times the longest so far]",
    ),
]
