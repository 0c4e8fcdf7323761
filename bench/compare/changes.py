"""Paired comparisons of two runs on their common images: accuracies, exact tests, changed images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.compare.findings import Change, Flip
from bench.compare.pairs import PREDICTIONS, Pair
from bench.figures.runs import ROBUST
from bench.stats.intervals import mean_difference, mean_share
from bench.stats.paired import holm, paired_p
from bench.text.words import counted

LEAST_POINTS = 0.05
"""Smaller changes, in percentage points, are printed as 0.0."""


def changes(pairs: Sequence[Pair]) -> list[list[Change]]:
    """The comparisons of each pair whose predictions changed; p-values are corrected over all of them."""
    found = [
        (place, which, *pair.shares(which))
        for place, pair in enumerate(pairs)
        for which in PREDICTIONS
        if pair.common and pair.differing(which).any()
    ]
    raw = [paired_p(after, before) for _, _, before, after in found]
    made: list[list[Change]] = [[] for _ in pairs]
    for (place, which, before, after), p, corrected in zip(found, raw, holm(raw), strict=True):
        made[place].append(change_of(which, before, after, p, corrected))
    return made


def change_of(which: str, before: np.ndarray, after: np.ndarray, p: float, corrected: float) -> Change:
    """Compares shares of right draws per image, `(n,)` each."""
    return Change(
        which=which,
        before=mean_share(before),
        after=mean_share(after),
        difference=mean_difference(after, before),
        lost=int((after < before).sum()),
        won=int((after > before).sum()),
        p=p,
        corrected=corrected,
    )


def words(change: Change, *, meaning: bool = True) -> str:
    """The change in one sentence, with its possible meaning."""
    points, what = 100 * change.difference.value, "robust" if change.which == ROBUST else "clean"
    corrected = f" ({change.corrected:.2g} after Holm)" if change.corrected != change.p else ""
    found = f"{counted(change.lost, 'image')} lost, {change.won} won, p = {change.p:.2g}{corrected}"
    if abs(points) < LEAST_POINTS:
        return f"{what} accuracy as before ({100 * change.after.value:.1f} %), {found}"
    verb = "rose" if points > 0 else "fell"
    may_be = {
        ("robust", "rose"): "the attack got weaker or the defense stronger",
        ("robust", "fell"): "the attack got stronger or the defense weaker",
    }.get((what, verb), "the defense or the classifier changed")
    return (
        f"{what} accuracy {verb} by {abs(points):.1f} points ({100 * change.before.value:.1f} to {100 * change.after.value:.1f} %), "
        f"{found}{f': {may_be}' if meaning else ''}"
    )


def flips(pair: Pair) -> list[Flip]:
    """The images whose predictions differ."""
    return [flip for which in PREDICTIONS for flip in _flips(pair, which)]


def _flips(pair: Pair, which: str) -> list[Flip]:
    if pair.after is None:
        return []
    differing = pair.differing(which)
    before, after = pair.rows(pair.before)[differing], pair.rows(pair.after)[differing]
    margins = [min(map(abs, pair.before.lines[row].margin)) if which == ROBUST else None for row in before]
    return [
        Flip(
            int(pair.before.ids[old]),
            int(pair.before.labels[old]),
            which,
            getattr(pair.before, which)[old].tolist(),
            getattr(pair.after, which)[new].tolist(),
            margin,
        )
        for old, new, margin in zip(before, after, margins, strict=True)
    ]
