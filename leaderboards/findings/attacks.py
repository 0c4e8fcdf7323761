"""Compares AutoAttack and Square with the strongest gradient attack of the same suite, image by image.

    python -m leaderboards.findings.attacks

Prints how many images only the first attack breaks, and how many only the second.
"""

from __future__ import annotations

from pathlib import Path

from tabulate import tabulate

from bench.figures.aggregate import per_image
from bench.figures.runs import Run, read_runs

RECORDS = Path("results/fashion-mnist-standard")
GRADIENT, OTHERS = ("pgd-full", "pgd-eot", "pgd-bpda"), ("autoattack", "autoattack-rand", "square")
HEAD = [
    "defense",
    "classifier",
    "attack",
    "robust",
    "gradient attack",
    "robust",
    "n",
    "only the first breaks",
    "only the second",
]


def rows(threat: str = "linf:20/255") -> list[list[str]]:
    """One line for each defense and each of `OTHERS` that it has faced."""
    runs = [run for run in read_runs(RECORDS) if run.spec.threat == threat and run.spec.seed == 0]
    found = []
    for run in runs:
        other = next((base for name in GRADIENT for base in runs if _matches(base, run, name)), None)
        if run.spec.attack.name in OTHERS and other is not None:
            found.append(_line(run, other))
    return sorted(found)


def _matches(base: Run, run: Run, name: str) -> bool:
    """Whether `base` is the attack `name` on the parts of `run`."""
    same = all(getattr(base.spec, role) == getattr(run.spec, role) for role in ("defense", "classifier", "score_model"))
    return same and base.header.labels.attack == name


def _line(run: Run, other: Run) -> list[str]:
    ids = run.ids[[sample in other.row_of for sample in run.ids.tolist()]]
    a, b = (per_image(part).on(ids) for part in (run, other))
    labels, theirs = run.header.labels, other.header.labels
    accuracies = [f"{100 * part.mean():.1f}" for part in (a, b)]
    return [
        labels.defense,
        run.spec.classifier.name,
        labels.attack,
        accuracies[0],
        theirs.attack,
        accuracies[1],
        str(len(ids)),
        str(int((a < b).sum())),
        str(int((a > b).sum())),
    ]


if __name__ == "__main__":
    print(tabulate(rows(), headers=HEAD, tablefmt="github", disable_numparse=True))
