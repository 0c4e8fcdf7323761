"""`bench verify` of a record against scoring its images, measured side by side. Bar: 1.2.

Scoring is what a run does with an image besides attacking it: clean and adversarial predictions under the scored draws. A
verification does the same, and besides hashes every file, builds the parts, holds images against the ball, and looks at one
fresh draw of a stochastic defense.

    python tests/benchmarks/verify_cost.py [IMAGES] [DEFENSE]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from stopwatch import seconds

from bench.figures.runs import read_run
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.replay import worker_of
from bench.run.runner import Options, Silent, record_path, run
from bench.verify.verification import Options as Verifying
from bench.verify.verify import verify

ROUNDS = 3


class Unheard(Silent):
    def scored(self, done, total):
        pass


def main(images: int = 1000, defense: str = "dpsam") -> None:
    registry, ratios = make_registry(), []
    planned = plan(Request(defense=defense, attack="random", arguments={"attacks": {"tries": 1}}), registry)
    with tempfile.TemporaryDirectory() as folder:
        run(planned, Options(samples=images, results=Path(folder), device="cpu"), Unheard())
        path = record_path(planned, Path(folder))
        record = read_run(path)
        worker = worker_of(record, planned, device="cpu")
        pixels = planned.dataset.floats(np.arange(images))

        def score() -> None:
            for _ in ("clean", "adversarial"):
                worker.rescore(np.arange(images), pixels)

        def verified() -> None:
            found = verify(path, [], defense, registry, Verifying(device="cpu"), Unheard())
            if not found.passed:
                raise SystemExit(f"expected a record that verifies, got {found}")

        for number in range(ROUNDS + 1):
            mine, bare = seconds(verified), seconds(score)
            if number:  # the first round warms up
                ratios.append(mine / bare)
                print(f"verify {mine:.2f} s   score {bare:.2f} s   ratio {mine / bare:.3f}")
    print(f"median ratio {sorted(ratios)[len(ratios) // 2]:.3f} (bar 1.2); {images} images, {defense}")


if __name__ == "__main__":
    main(*(int(word) if word.isdigit() else word for word in sys.argv[1:]))
