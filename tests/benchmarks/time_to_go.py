"""How far off the time to go is, while a run is under way. Bar: within 30 % after the first tenth of the time.

Whatever a report says is to go is added to the time that has passed, and compared with what the run took in the end.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from bench.pace import TimeToGo
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


class Watch:
    """Notes what is to go at every report."""

    def started(self, lines, total) -> None:
        self.began, self.clock, self.said = time.monotonic(), TimeToGo(total, 0), []

    def working(self, done, standing, images) -> None:
        self.clock.working(done, images)
        self.note()

    def finished(self, lines) -> None:
        self.clock.finished(len(lines))
        self.note()

    def note(self) -> None:
        self.said.append((time.monotonic() - self.began, self.clock.seconds()))


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    for defense, attack, arguments in RUNS:
        planned = plan(Request(defense=defense, attack=attack, arguments={"attacks": arguments}), make_registry())
        watch = Watch()
        with tempfile.TemporaryDirectory() as folder:
            run(planned, Options(samples=samples, results=Path(folder)), watch)
        whole = time.monotonic() - watch.began
        off = [(at + left) / whole - 1 for at, left in watch.said if left is not None and whole / 10 < at < whole]
        print(
            f"{defense:13s} {attack:16s} {whole:6.1f} s   off by {100 * min(off):+.0f} to {100 * max(off):+.0f} %"
            f"   mean {100 * sum(map(abs, off)) / len(off):.0f} %   (bar 30 %)",
            flush=True,
        )


if __name__ == "__main__":
    main()
