"""How far off the time to go is, while a run is under way. Bar: within 30 % after the first tenth of the time.

The time that has passed, divided by the share of the images that are done, is compared with what the run took in the end.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from bench.console.progress import Progress
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.runner import Options, run

RUNS = [
    ("dpsam", "pgd-full", {}),
    ("tweedie", "autoattack-fast", {}),
    ("denoise-once", "pgd-eot", {"eot": 10}),
    ("none", "autoattack", {}),
    ("tweedie", "square", {"queries": 2000}),
]


class Watch(Progress):
    """Notes how far the run is at every report: the seconds passed, and the share of the images."""

    def started(self, lines, total) -> None:
        self.said = []
        super().started(lines, total)

    def _move(self, through, count) -> str:
        left = super()._move(through, count)
        self.said.append((time.monotonic() - self.since, self.through / self.total))
        return left


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    for defense, attack, arguments in RUNS:
        planned = plan(Request(defense=defense, attack=attack, arguments={"attacks": arguments}), make_registry())
        with tempfile.TemporaryDirectory() as folder, Watch(quiet=True) as watch:
            run(planned, Options(samples=samples, results=Path(folder)), watch)
        whole = time.monotonic() - watch.since
        off = [at / share / whole - 1 for at, share in watch.said if share and whole / 10 < at < whole]
        print(
            f"{defense:13s} {attack:16s} {whole:6.1f} s   off by {100 * min(off):+.0f} to {100 * max(off):+.0f} %"
            f"   mean {100 * sum(map(abs, off)) / len(off):.0f} %   (bar 30 %)",
            flush=True,
        )


if __name__ == "__main__":
    main()
