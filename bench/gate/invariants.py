"""What holds of every run whatever the hardware: checks that never flake."""

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
    """The run is the same experiment: names, arguments, weights, data and their order."""
    if pair.changed:
        return Finding(check="spec", passed=False, detail="; ".join(pair.changed))
    if pair.recoded:
        detail = f"the same experiment, by other code ({'; '.join(pair.recoded)}): what follows tells whether it does the same"
        return Finding(check="spec", passed=True, detail=detail)
    return Finding(check="spec", passed=True, detail="the same experiment")


def same_claims(pair: Pair, run: Run) -> Finding:
    """Each check of the defense that did not fail in the baseline does not fail: such as that the attacker's gradient is exact."""
    before, after = (failed_checks(one.header["checks"].get("claims", [])) for one in (pair.before, run))
    broken = [name for name in after if name not in before]
    meanings = {claim["check"]: claim["meaning"] for claim in run.header["checks"].get("claims", [])}
    said = "; ".join(f"{name} ({meanings[name]})" for name in broken)
    detail = f"failed now, and not in the baseline: {said}" if broken else "as they were"
    return Finding(check=CLAIMS, passed=not broken, detail=detail)


def all_images(pair: Pair) -> Finding:
    """The run has every image of the baseline, with the same label."""
    if pair.after is None:
        return Finding(
            check="images",
            passed=False,
            detail="no such run among the results; add --run (in pytest --purebench-run) to make it",
        )
    lacking = [sample for sample in pair.before.ids.tolist() if sample not in pair.after.row_of]
    if lacking:
        return Finding(
            check="images", passed=False,
            detail=f"{len(lacking)} of the baseline's {len(pair.before)} images are missing, the first is {lacking[0]}: fewer images, or another order",
        )  # fmt: skip
    before, after = (run.labels[pair.rows(run)] for run in (pair.before, pair.after))
    changed = pair.before.ids[before != after].tolist()
    detail = f"labels of images {changed[:5]} changed" if changed else f"the baseline's {len(pair.before)} images"
    return Finding(check="images", passed=not changed, detail=detail)


def code(pair: Pair, phrases: Sequence[str], twin: Run | None) -> Finding | None:
    """That the code of a row is gone while another row is of today's, or that the results are of other code than today's; None if neither."""
    if twin is not None:
        return Finding(
            check="code", passed=False,
            detail=f"this row was made by code that is gone, and {twin.run_id} is the same by today's; remove the folder {pair.before.path}",
        )  # fmt: skip
    if not phrases:
        return None
    detail = (
        f"these results are of other code than today's ({'; '.join(phrases)}); add --run (in pytest --purebench-run)"
    )
    return Finding(check="code", passed=None, detail=detail)


def sealed(name: str, run: Run) -> Finding:
    """The files are those that were sealed."""
    if not run.sealed:
        return Finding(check=name, passed=False, detail=f"{run.path} is not complete: it has no SHA256SUMS")
    broken = broken_seal(run.path)
    detail = f"{run.path} is not as it was sealed: {'; '.join(broken)}" if broken else "files as they were sealed"
    return Finding(check=name, passed=not broken, detail=detail)


def robust_within_clean(run: Run, *, deterministic: bool) -> Finding:
    """An image that is wrong without an attack is wrong under it: deterministic defenses."""
    check = "robust <= clean"
    if not deterministic:
        return Finding(check=check, passed=None, detail="for deterministic defenses")
    gained = run.ids[(run.hits(ROBUST) & ~run.hits(CLEAN)).any(axis=1)].tolist()
    detail = f"images {gained[:5]} are right under attack and wrong without it" if gained else "on every image"
    return Finding(check=check, passed=not gained, detail=detail)


def unmoved_images(run: Run) -> Finding:
    """An image that the attack left alone has its clean predictions: eps 0 is clean accuracy."""
    distance = np.array([line.distance for line in run.lines])
    strange = run.ids[(distance == 0) & (run.clean != run.adversarial).any(axis=1)].tolist()
    unmoved = int((distance == 0).sum())
    detail = (
        f"images {strange[:5]} did not move and changed their predictions"
        if strange
        else f"on {unmoved} images that did not move"
    )
    return Finding(check="eps 0 = clean", passed=not strange, detail=detail)


def undefended_near_zero(pair: Pair) -> Finding | None:
    """Where the baseline broke the undefended classifier, it is broken still; None for other rows."""
    if (
        pair.after is None
        or pair.before.spec["defense"]["name"] != UNDEFENDED
        or pair.before.shares().mean() > NEAR_ZERO
    ):
        return None
    interval = clopper_pearson(int(pair.after.shares().sum()), len(pair.after))
    return Finding(
        check="undefended near 0", passed=interval.low <= NEAR_ZERO,
        detail=f"{100 * interval.value:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}] of {interval.n} images",
    )  # fmt: skip


def worst_cases(runs: Sequence[Run]) -> list[Finding]:
    """The worst case over attacks is at most each of them, on the same images: one finding per defense."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        spec = run.spec
        key = ("dataset", "threat", "classifier", "score_model", "defense", "draws", "seed")
        groups[canonical([spec[name] for name in key])].append(run)
    return [_worst_case(group) for _, group in sorted(groups.items()) if len(group) > 1]


def _worst_case(group: list[Run]) -> Finding:
    parts = [per_image(run) for run in group]
    worst = worst_case(parts)
    above = [
        run.header["labels"]["attack"]
        for run, part in zip(group, parts, strict=True)
        if (worst.shares > part.on(worst.ids)).any()
    ]
    name = group[0].header["labels"]["defense"]
    detail = (
        f"{name}: above that of {', '.join(above)}"
        if above
        else f"{name}: {100 * worst.shares.mean():.1f} % over {len(group)} attacks"
    )
    return Finding(check="worst case <= each attack", passed=not above, detail=detail)
