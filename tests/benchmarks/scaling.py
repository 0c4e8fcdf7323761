"""One suite on the local engine, on Ray with one worker, and on Ray with two. Bars: 1.7 times; 10 % and the start.

Run on two idle cores. Each shard is computed by one thread. What a worker adds beside its shards (starting, loading,
handing over) is measured as what is left when the seconds in the lines are taken off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITE = """
samples = 100
batch_size = 16
device = "cpu"
defense = "dpsam"
attack = {{ name = "pgd-full", steps = {steps}, losses = ["cw"] }}
seed = [0, 1, 2, 3, 4]
"""
START = """
import time
started = time.perf_counter()
from bench.registry.tables import make_registry
from bench.engines import EngineOptions, make_engine
imported = time.perf_counter()
with make_engine(EngineOptions(name="ray", workers={workers}), make_registry()):
    print(time.perf_counter() - imported)
"""


def run(root: Path, name: str, *words: str) -> tuple[float, float]:
    """Seconds of the command, and the sum of those in the lines."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(root / "cache")}
    command = [sys.executable, "-m", "bench", "suite", "suite.toml", "--quiet", "--results", name, *words]
    started = time.perf_counter()
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    seconds = time.perf_counter() - started
    lines = [
        json.loads(line) for file in (root / name).rglob("samples.jsonl") for line in file.read_text().splitlines()
    ]
    return seconds, sum(line["seconds"] for line in lines)


def start(workers: int) -> float:
    """Seconds that Ray and its workers take to come up."""
    code = START.format(workers=workers)
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "suite.toml").write_text(SUITE.format(steps=steps))
        starts = {workers: start(workers) for workers in (1, 2)}
        times = {}
        for name, words in (
            ("local", ()), ("ray-1", ("--engine", "ray")), ("ray-2", ("--engine", "ray", "--workers", "2")),
            ("processes-2", ("--workers", "2")),
        ):  # fmt: skip
            seconds, inside = run(root, name, *words)
            times[name] = seconds
            print(f"{name:<12} {seconds:6.1f} s   in shards {inside:6.1f} s", flush=True)
        print(f"Ray starts in {starts[1]:.1f} s (1 worker), {starts[2]:.1f} s (2 workers)")
        print(
            f"Ray, 1 worker, over local: {(times['ray-1'] - starts[1]) / times['local']:.3f} without its start (bar 1.10)"
        )
        print(f"Ray, 2 workers over 1: {times['ray-1'] / times['ray-2']:.2f} times faster (bar 1.7)")
        print(f"2 processes over local: {times['local'] / times['processes-2']:.2f} times faster")


if __name__ == "__main__":
    main()
