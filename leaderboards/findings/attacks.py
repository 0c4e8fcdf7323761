"""What AutoAttack and Square break that the strongest gradient attack of the same suite left standing, and the reverse, on the same images.

python -m leaderboards.findings.attacks
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
    """A line for each defense and each of those attacks that it has faced."""
    runs = [run for run in read_runs(RECORDS) if run.spec.threat == threat and run.spec.seed == 0]
    found = []
    for run in runs:
        other = next((base for name in GRADIENT for base in runs if _stands_against(base, run, name)), None)
        if run.spec.attack.name in OTHERS and other is not None:
            found.append(_line(run, other))
    return sorted(found)


def _stands_against(base: Run, run: Run, name: str) -> bool:
    same = all(getattr(base.spec, role) == getattr(run.spec, role) for role in ("defense", "classifier", "score_model"))
    return same and base.header.labels.attack == name


def _line(run: Run, other: Run) -> list[str]:
    ids = run.ids[[sample in other.row_of for sample in run.ids.tolist()]]
    a, b = (per_image(part).on(ids) for part in (run, other))
    labels, theirs = run.header.labels, other.header.labels
    accuracies = [f"{100 * part.mean():.1f}" for part in (a, b)]
    return [
        labels.defense, run.spec.classifier.name, labels.attack, accuracies[0], theirs.attack, accuracies[1],
        str(len(ids)), str(int((a < b).sum())), str(int((a > b).sum())),
    ]  # fmt: skip


if __name__ == "__main__":
    print(tabulate(rows(), headers=HEAD, tablefmt="github", disable_numparse=True))
