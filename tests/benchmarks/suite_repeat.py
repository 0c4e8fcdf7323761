"""A suite of 1,000 tiny cells, all done, is repeated. Bar: 3 s, and as much memory as with 10 cells.

Making the cells takes some minutes (--cells 100 for a shorter look).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITE = 'samples = 1\ndefense = "none"\nattack = "null"\ndevice = "cpu"\nbatch_size = 1\nseed = {seeds}\n'
CODE = """
import resource, sys
from bench.cli.main import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
sys.exit(code)
"""


def repeat(root: Path, cells: int) -> tuple[float, float, int]:
    """Seconds, CPU seconds and MiB of one pass over so many cells."""
    (root / "suite.toml").write_text(SUITE.format(seeds=list(range(cells))))
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", CODE, "suite", "suite.toml", "--quiet"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(root / "cache")}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, cpu, int(done.stderr.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1000)
    cells = parser.parse_args().cells
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for count in (10, cells):
            seconds, _, memory = repeat(root, count)
            print(f"{count} cells made in {seconds:.1f} s, at most {memory} MiB", flush=True)
        for count in (10, cells):
            times, cpu, memory = zip(*(repeat(root, count) for _ in range(3)), strict=True)
            print(
                f"{count} cells repeated in {min(times):.2f} s ({min(cpu):.2f} s of CPU), {max(memory)} MiB (bar 3 s)"
            )


if __name__ == "__main__":
    main()
