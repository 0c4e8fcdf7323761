"""The harness against a bare loop of the same network calls: one shard of dpsam under pgd-full. Bar: 1.05.

The bare loop makes the same network calls (chunks of 16, the last one filled up), without records, counters, noise
streams or checks of any kind.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from stopwatch import seconds

from bench.ball import project, steepest
from bench.losses import carlini_wagner
from bench.noise import ForbiddenNoise
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.registry.tables import make_registry
from bench.run.runner import Options, Silent, run
from bench.threat import ThreatModel

IMAGES, STEPS, ROUNDS = 48, 3, 3
EPS = "linf:1/2550"  # so small that no image falls and both do the same work


def main() -> None:
    request = Request(threat=ThreatModel.parse(EPS), arguments={"attacks": {"steps": STEPS, "losses": ("cw",)}})
    planned = plan(request, make_registry())
    data, threat = planned.dataset, planned.threat
    defense = planned.make_defense(planned.score)
    x, y = torch.from_numpy(data.floats(slice(0, IMAGES))), torch.from_numpy(data.labels[:IMAGES])
    forbidden = ForbiddenNoise(0, torch.arange(IMAGES))

    def forward(part: torch.Tensor) -> torch.Tensor:
        return planned.classifier(defense.purify(part, forbidden))

    def bare() -> None:
        with torch.no_grad():
            clean = torch.cat([forward(part) for part in x.split(16)]).argmax(dim=1)
        right = clean == y
        full = torch.arange(-(-int(right.sum()) // 16) * 16) % int(right.sum())
        z, start, labels = x[right][full], x[right][full], y[right][full]
        for _ in range(STEPS):
            slopes = []
            for part, label in zip(z.split(16), labels.split(16), strict=True):
                leaf = part.clone().requires_grad_()
                slopes.append(torch.autograd.grad(carlini_wagner(forward(leaf), label).sum(), leaf)[0])
            z = project(z + threat.radius / 2 * steepest(torch.cat(slopes), threat), start, threat)
        with torch.no_grad():
            [forward(part) for part in z.split(16)]  # the end of the run, as the attack looks at it
            [forward(part) for part in x.split(16)]  # the score

    def harness(folder: str) -> None:
        run(planned, Options(samples=IMAGES, results=Path(folder)), Silent())

    ratios = []
    for k in range(ROUNDS + 1):
        with tempfile.TemporaryDirectory() as folder:
            run(
                planned, Options(samples=1, results=Path(folder)), Silent()
            )  # the claims are verified once a record, not here
            (Path(folder) / next(Path(folder).rglob("samples.jsonl")).relative_to(folder)).unlink()
            mine, theirs = seconds(lambda: harness(folder)), seconds(bare)
        if k:
            ratios.append(mine / theirs)
            print(f"harness {mine:.2f} s   bare loop {theirs:.2f} s   ratio {mine / theirs:.3f}")
    print(f"median ratio {sorted(ratios)[len(ratios) // 2]:.3f} (bar 1.05)")


if __name__ == "__main__":
    main()
