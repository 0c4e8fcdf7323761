"""Invariants of every run, whatever the hardware: checks without false alarms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from bench.compare.findings import CLAIMS, Finding
from bench.compare.pairs import Pair
from bench.figures.aggregate import per_image, worst_case
from bench.figures.runs import CLEAN, ROBUST, Run
from bench.records.claim import failed_checks
from bench.records.seal import broken_seal
from bench.records.spec import UNDEFENDED, canonical
from bench.stats.intervals import clopper_pearson

NEAR_ZERO = 0.05


def spec_unchanged(pair: Pair) -> Finding:
    """Reports other names, arguments, weights or data; other source code alone passes."""
    detail = "; ".join(pair.changed) or "the same experiment"
    if pair.recoded and not pair.changed:
        detail += f", by other code ({'; '.join(pair.recoded)})"
    return Finding(check="spec", passed=not pair.changed, detail=detail)


def same_claims(pair: Pair, run: Run) -> Finding:
    """Reports checks of the defense that fail now and did not fail in the baseline."""
    claims, old = (one.header["checks"].get("claims", []) for one in (run, pair.before))
    broken = set(failed_checks(claims)) - set(failed_checks(old))
    said = "; ".join(f"{claim['check']} ({claim['meaning']})" for claim in claims if claim["check"] in broken)
    detail = f"failed now, and not in the baseline: {said}" if broken else "as they were"
    return Finding(check=CLAIMS, passed=not broken, detail=detail)


def all_images(pair: Pair) -> Finding:
    """Reports images of the baseline that the run lacks, or that have another label."""
    check = "images"
    if pair.after is None:
        detail = "no such run among the results; add --run (in pytest --purebench-run), or remove the row if its code no longer exists"
        return Finding(check=check, passed=False, detail=detail)
    lacking = [sample for sample in pair.before.ids.tolist() if sample not in pair.after.row_of]
    if lacking:
        detail = f"{len(lacking)} of the baseline's {len(pair.before)} images are missing, the first is {lacking[0]}"
        return Finding(check=check, passed=False, detail=detail)
    before, after = (run.labels[pair.rows(run)] for run in (pair.before, pair.after))
    changed = pair.before.ids[before != after].tolist()
    return _on_images(check, changed, "labels of images {} changed", f"the baseline's {len(pair.before)} images")


def code(phrases: Sequence[str]) -> Finding:
    """Reports a row whose code no longer exists, or results of different code."""
    detail = f"the code of these results changed ({'; '.join(phrases)}); add --run (in pytest --purebench-run)"
    return Finding(check="code", passed=None, detail=detail)


def sealed(name: str, run: Run) -> Finding:
    """Reports files that changed after they were sealed."""
    broken = broken_seal(run.path) if run.sealed else ["it is not complete: it has no SHA256SUMS"]
    detail = f"{run.path}: {'; '.join(broken)}" if broken else "files as they were sealed"
    return Finding(check=name, passed=not broken, detail=detail)


def robust_within_clean(run: Run, *, deterministic: bool) -> Finding:
    """Reports images that are right under attack and wrong without it, for deterministic defenses."""
    check = "robust <= clean"
    if not deterministic:
        return Finding(check=check, passed=None, detail="for deterministic defenses")
    gained = run.ids[(run.hits(ROBUST) & ~run.hits(CLEAN)).any(axis=1)].tolist()
    return _on_images(check, gained, "images {} are right under attack and wrong without it", "on every image")


def unmoved_images(run: Run) -> Finding:
    """Reports images that the attack left alone and whose predictions changed: eps 0 is clean accuracy."""
    still = np.array([line.distance for line in run.lines]) == 0
    strange = run.ids[still & (run.clean != run.adversarial).any(axis=1)].tolist()
    good = f"on {still.sum()} images that did not move"
    return _on_images("eps 0 = clean", strange, "images {} did not move and changed their predictions", good)


def _on_images(check: str, found: list[int], bad: str, good: str) -> Finding:
    """A check that fails on some images, whose first ids go into the sentence."""
    return Finding(check=check, passed=not found, detail=bad.format(found[:5]) if found else good)


def undefended_near_zero(pair: Pair, run: Run) -> Finding | None:
    """Reports an undefended classifier that the attack no longer breaks; None for other rows."""
    if pair.before.spec["defense"]["name"] != UNDEFENDED or pair.before.shares().mean() > NEAR_ZERO:
        return None
    found = clopper_pearson(int(run.shares().sum()), len(run))
    detail = f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}] of {found.n} images"
    return Finding(check="undefended near 0", passed=found.low <= NEAR_ZERO, detail=detail)


def worst_cases(runs: Sequence[Run]) -> list[Finding]:
    """Reports a worst case over attacks above one of the attacks: one finding per defense."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        key = ("dataset", "threat", "classifier", "score_model", "defense", "draws", "seed")
        groups[canonical([run.spec[name] for name in key])].append(run)
    return [_worst_case(group) for _, group in sorted(groups.items()) if len(group) > 1]


def _worst_case(group: list[Run]) -> Finding:
    worst = worst_case([per_image(run) for run in group])
    above = [run for run in group if (worst.shares > per_image(run).on(worst.ids)).any()]
    detail = f"{100 * worst.shares.mean():.1f} % over {len(group)} attacks"
    if above:
        detail = f"above that of {', '.join(run.header['labels']['attack'] for run in above)}"
    name = group[0].header["labels"]["defense"]
    return Finding(check="worst case <= each attack", passed=not above, detail=f"{name}: {detail}")
