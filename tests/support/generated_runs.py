"""Runs in memory, thousands a second, of sets that differ in n, draws, seeds, attacks, environments and radii."""

from pathlib import Path

import numpy as np
from records_for_tables import header

from bench.figures.runs import Run
from bench.records.header import Header

ATTACKS = [
    ("pgd-full", "full", {}), ("pgd-eot", "full", {"eot": 20}), ("pgd-bpda", "bpda", {}), ("pgd-known", "full", {}),
    ("dw-box-2024", "full", {}), ("autoattack", "full", {}), ("square", "none", {}), ("pgd-blind", "blind", {}), ("null", "none", {}),
]  # fmt: skip
DEFENSES = {"none": 1, "plain": 1, "other": 1, "noisy": 4, "votes": 3}
"""Name of a defense to its usual number of draws."""
THREATS = ("linf:4/255", "linf:8/255", "l2:0.5", "linf:16/255")
CLASSES = 3


def run_of(document, ids, labels, clean, adversarial, *, audit=None, sealed=True):
    """A run in memory; predictions have shape `(n, draws)`."""
    spec = document["spec"]
    path = Path(
        "results", spec["dataset"]["name"], spec["threat"].replace(":", "-").replace("/", "-"), document["run_id"]
    )
    n = len(ids)
    cost = {"classifier_forward": np.full(n, 2), "score_forward": np.full(n, 6)}
    return Run(
        path, Header.of(document), sealed, audit or {}, {}, ids, labels, clean, adversarial, cost, np.full(n, np.nan)
    )


def generated(key):
    """One set of runs; the same key gives the same set."""
    rng = np.random.Generator(np.random.Philox(key=key))
    order, labels = rng.permutation(60), rng.integers(CLASSES, size=60)
    threats = THREATS[: rng.choice([1, 2, 4], p=[0.6, 0.3, 0.1])]
    names = rng.choice(list(DEFENSES), size=rng.integers(1, 4), replace=False)
    runs = []
    for threat in threats:
        for name in names:
            runs += _of_defense(str(name), threat, order, labels, rng)
    return runs


def _of_defense(name, threat, order, labels, rng):
    """The runs of one defense: any of the attacks, of one or several seeds and numbers of draws, each on its own images."""
    usual, runs, skill = DEFENSES[name], [], rng.uniform(0.2, 1)
    faced = rng.choice(len(ATTACKS), size=rng.integers(1, 7), replace=False)
    sizes = rng.integers(1, 61, size=len(ATTACKS))
    for seed in range(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1])):
        for place in faced[rng.random(len(faced)) < 0.95]:
            size = sizes[place] if rng.random() < 0.9 else rng.integers(1, 61)
            attack, gradient, args = ATTACKS[place]
            draws = 1 if attack == "dw-box-2024" else usual if rng.random() < 0.9 or usual == 1 else usual - 1
            ids = order[:size] if rng.random() < 0.95 else rng.permutation(60)[:size]
            runs.append(_run(name, threat, attack, gradient, args, draws, seed, ids, labels[ids], skill, rng))
    return runs


def _run(name, threat, attack, gradient, args, draws, seed, ids, truth, skill, rng):
    number = f"{name}-{threat.translate(str.maketrans(':/', '--'))}-{attack}-{draws}-{seed}"
    checks = {"deterministic": DEFENSES[name] == 1, "gradient_error": float(rng.choice([1e-6, 0.3], p=[0.95, 0.05]))}
    made = header(number, name, attack, threat, gradient, draws=draws, seed=seed, checks=checks)
    made["spec"]["attack"]["args"] = args
    made["spec"]["attack"] |= {"knowledge": "known"} if attack in ("pgd-known", "dw-box-2024") else {}
    made["environments"] = {
        "e": {"torch": str(rng.choice(["2.8", "2.9"]))},
        **({"f": {}} if rng.random() < 0.1 else {}),
    }
    # a deterministic defense answers a clean image the same in every run; a stochastic one the same for the same seed
    fixed = np.random.Generator(np.random.Philox(key=[len(name), seed if DEFENSES[name] > 1 else 99]))
    clean = np.where(fixed.random((60, draws))[ids] < 0.9, truth[:, None], (truth[:, None] + 1) % CLASSES)
    broken = rng.random((len(ids), draws)) > skill
    adversarial = np.where(broken, (truth[:, None] + 1 + rng.integers(2, size=broken.shape)) % CLASSES, clean)
    if attack == "null":
        adversarial = clean
    elif rng.random() < 0.2:  # an attack of another package may even mend an image
        adversarial = np.where(rng.random(broken.shape) < 0.1, truth[:, None], adversarial)
    return run_of(made, ids, truth, clean, adversarial, sealed=rng.random() < 0.8)
