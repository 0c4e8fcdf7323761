"""Invariants of every run on any hardware: checks without false alarms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from bench.compare.findings import CLAIMS, OTHER_CODE, Finding, judged
from bench.compare.pairs import Pair
from bench.figures.aggregate import per_image, worst_case
from bench.figures.runs import CLEAN, ROBUST, Run
from bench.records.claim import failed_checks
from bench.records.seal import broken_seal
from bench.records.spec import UNDEFENDED, canonical
from bench.stats.intervals import clopper_pearson

NEAR_ZERO = 0.05


def spec_unchanged(pair: Pair) -> Finding:
    """Reports changed names, arguments, weights or data; changed source code alone passes."""
    code = f", {OTHER_CODE} ({'; '.join(pair.recoded)})" if pair.recoded else ""
    return judged("spec", "; ".join(pair.changed), f"the same experiment{code}")


def same_claims(pair: Pair, run: Run) -> Finding:
    """Reports checks of the defense that fail now and did not fail in the baseline."""
    checks, old = run.header.checks, pair.before.header.checks
    broken = set(failed_checks(checks)) - set(failed_checks(old))
    meanings = "; ".join(f"{claim.check} ({claim.meaning})" for claim in checks.claims if claim.check in broken)
    return judged(CLAIMS, f"failed now, and not in the baseline: {meanings}" if broken else "", "as they were")


def all_images(pair: Pair) -> Finding:
    """Reports images of the baseline that the run lacks, or that have another label."""
    n, problem = len(pair.before), ""
    if pair.after is None:
        problem = "no such run among the results; add --run (in pytest --purebench-run), or remove the row if its code no longer exists"
    elif len(pair.common) < n:
        problem = f"{n - len(pair.common)} of the baseline's {n} images are missing"
    else:
        before, after = (run.labels[pair.rows(run)] for run in (pair.before, pair.after))
        problem = _on_images(pair.before.ids[before != after], "labels of images {} changed")
    return judged("images", problem, f"the baseline's {n} images")


def code(phrases: Sequence[str]) -> Finding:
    """Reports a row whose code no longer exists, or results of different code."""
    detail = f"the code of these results changed ({'; '.join(phrases)}); add --run (in pytest --purebench-run)"
    return Finding(check="code", passed=None, detail=detail)


def sealed(name: str, run: Run) -> Finding:
    """Reports files that changed after they were sealed."""
    broken = broken_seal(run.path) if run.sealed else ["it is not complete: it has no SHA256SUMS"]
    return judged(name, f"{run.path}: {'; '.join(broken)}" if broken else "", "files as they were sealed")


def robust_within_clean(run: Run, *, deterministic: bool) -> Finding:
    """Reports images that are right under attack and wrong without it; for deterministic defenses only."""
    check = "robust <= clean"
    if not deterministic:
        return Finding(check=check, passed=None, detail="for deterministic defenses only")
    gained = run.ids[(run.hits(ROBUST) & ~run.hits(CLEAN)).any(axis=1)]
    problem = _on_images(gained, "images {} are right under attack and wrong without it")
    return judged(check, problem, "on every image")


def unmoved_images(run: Run) -> Finding:
    """Reports images that the attack did not change but whose predictions changed: at eps 0, robust is clean accuracy."""
    still = np.array([line.distance for line in run.lines]) == 0
    strange = run.ids[still & (run.clean != run.adversarial).any(axis=1)]
    problem = _on_images(strange, "images {} did not change, but their predictions did")
    return judged("eps 0 = clean", problem, f"on {still.sum()} images that did not change")


def _on_images(ids: np.ndarray, problem: str) -> str:
    """The problem with its first ids filled in; empty if there are no ids."""
    return problem.format(ids[:5].tolist()) if len(ids) else ""


def undefended_near_zero(pair: Pair, run: Run) -> Finding | None:
    """Reports an undefended classifier that the attack no longer breaks; None for other rows."""
    if pair.before.spec.defense.name != UNDEFENDED or pair.before.shares().mean() > NEAR_ZERO:
        return None
    found = clopper_pearson(int(run.shares().sum()), len(run))
    detail = f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}] of {found.n} images"
    return Finding(check="undefended near 0", passed=found.low <= NEAR_ZERO, detail=detail)


def worst_cases(runs: Sequence[Run]) -> list[Finding]:
    """Reports a worst case over attacks that is above one of the attacks; one finding per defense."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        key = ("dataset", "threat", "classifier", "score_model", "defense", "draws", "seed")
        spec = run.spec.model_dump()
        groups[canonical([spec[name] for name in key])].append(run)
    return [_worst_case(group) for _, group in sorted(groups.items()) if len(group) > 1]


def _worst_case(group: list[Run]) -> Finding:
    worst = worst_case([per_image(run) for run in group])
    above = [run for run in group if (worst.shares > per_image(run).on(worst.ids)).any()]
    name = group[0].header.labels.defense
    problem = f"{name}: above that of {', '.join(run.header.labels.attack for run in above)}" if above else ""
    good = f"{name}: {100 * worst.shares.mean():.1f} % over {len(group)} attacks"
    return judged("worst case <= each attack", problem, good)
