"""autoattack-fast beside the reference AutoAttack on the same images: robust accuracy, agreement, seconds.

    python tests/benchmarks/ensemble.py                       # the embedded classifiers, 50 images
    python tests/benchmarks/ensemble.py CLASSIFIER DATASET THREAT N

Bars: on the ResNet-18 that comes with pyautoattack, undefended, on 20 images of CIFAR-10 at linf:8/255 both end at 0 and
autoattack-fast is at least 30 times sooner; on `fashion-mnist-at` at most 0.5 points above on 500 images, and no slower.
Seconds are CPU seconds of the attack alone. Network calls are padded to 5 images, so that few that stand cost little.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from bench.figures.summary import shares
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.records.record import read_record
from bench.registry.tables import make_registry
from bench.run.runner import Options, Silent, run
from bench.threat import ThreatModel

EMBEDDED = [
    ("fashion-mnist-at", "fashion-mnist", "linf:20/255", "50"),
    ("fashion-mnist-cnn", "fashion-mnist", "linf:20/255", "50"),
]


def attacked(attack: str, classifier: str, dataset: str, threat: str, count: int) -> tuple[dict[int, float], float]:
    """Each image's share of right draws, and the attack's CPU seconds."""
    spent = []

    def timed(*inputs) -> torch.Tensor:
        began = time.process_time()
        result = planned.attack(*inputs)
        spent.append(time.process_time() - began)
        return result

    request = Request(
        defense="none", attack=attack, classifier=classifier, dataset=dataset, threat=ThreatModel.parse(threat)
    )
    planned = plan(request, make_registry())
    with tempfile.TemporaryDirectory() as folder:
        options = Options(samples=count, results=Path(folder), batch_size=5)
        summary = run(replace(planned, attack=timed), options, Silent())
        lines = read_record(Path(summary["path"])).lines
    return dict(zip((line.id for line in lines), shares(lines), strict=True)), sum(spent)


def main() -> None:
    torch.set_num_threads(1)
    for classifier, dataset, threat, count in [tuple(sys.argv[1:5])] if len(sys.argv) == 5 else EMBEDDED:
        both = [attacked(name, classifier, dataset, threat, int(count)) for name in ("autoattack-fast", "autoattack")]
        (fast, fast_seconds), (reference, seconds) = both
        same = [sample for sample in fast if sample in reference]
        only = sum(fast[sample] > reference[sample] for sample in same), sum(fast[s] < reference[s] for s in same)
        print(
            f"{classifier} {threat} n = {len(same)}: robust {100 * sum(fast[s] for s in same) / len(same):.1f} % (fast), "
            f"{100 * sum(reference[s] for s in same) / len(same):.1f} % (reference); broken by the reference alone {only[0]}, "
            f"by fast alone {only[1]}; {fast_seconds:.1f} s against {seconds:.1f} s, ratio {seconds / fast_seconds:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
