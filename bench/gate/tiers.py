"""The two tiers: predictions that must be equal, and changes that must not be significant."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cache

from bench.compare.changes import LEAST_POINTS, changes, flips, words
from bench.compare.findings import Change, Finding
from bench.compare.pairs import Pair
from bench.figures.runs import same_environment
from bench.stats.paired import power
from bench.text.words import counted

DISCORDANCE, DROP = 0.10, 0.05
"""Share of images that change, and the change, for which the power is told."""


def is_exact(pair: Pair) -> bool:
    """Whether predictions must be equal: a deterministic defense, the same spec and code, the same bits."""
    if pair.after is None or not pair.deterministic or pair.changed or pair.recoded:
        return False
    return same_environment(*pair.before.environments, *pair.after.environments)


def exact(pair: Pair) -> Finding:
    """The exact tier: every prediction is that of the baseline."""
    flipped = flips(pair)
    if not flipped:
        return Finding(
            check="predictions", passed=True, detail=f"all predictions of {len(pair.common)} images are the baseline's"
        )
    return Finding(
        check="predictions", passed=False, flips=flipped,
        detail=f"{counted(len(flipped), 'prediction')} changed in the environment of the baseline: {_direction(pair)}",
    )  # fmt: skip


def statistical(pair: Pair, made: Sequence[Change], *, alpha: float, margin: float) -> Finding:
    """The statistical tier: no change is both significant and larger than the margin.

    Arguments:
        pair: The row.
        made: Its changes.
        alpha: Two-sided level after Holm.
        margin: Smallest change that counts, in [0, 1].
    """
    found = [part for part in made if part.corrected < alpha and abs(part.difference.value) > margin + 1e-12]
    if found:
        return Finding(check="change", passed=False, detail="; ".join(map(words, found)), flips=flips(pair))
    detail = "; ".join(_allowed(part, alpha=alpha, margin=margin) for part in made)
    detail = detail or f"all predictions of {len(pair.common)} images are the baseline's"
    return Finding(check="change", passed=True, detail=detail, flips=flips(pair))


@cache
def power_text(n: int, tests: int, *, alpha: float, margin: float) -> str:
    """What the statistical tier catches with n images where this many comparisons changed."""
    level = alpha / max(1, tests)
    caught = power(n, DROP, DISCORDANCE, alpha=level, margin=margin)
    enough = bisect_left(
        range(101), 0.8, key=lambda k: power(n, k / 100, max(k / 100, DISCORDANCE), alpha=level, margin=margin)
    )
    least = f"; 80 % from {enough} points on" if enough <= 100 else ""
    return f"a change of {100 * DROP:g} points where {100 * DISCORDANCE:g} % of {n} images change is caught with probability {caught:.2f}{least}"


def _allowed(change: Change, *, alpha: float, margin: float) -> str:
    """A change that does not fail, and why."""
    said = words(change, meaning=False)
    if abs(100 * change.difference.value) < LEAST_POINTS:
        return said
    unsure = f"p is not below {alpha:g} (--alpha)"
    small = f"it is not more than {100 * margin:g} {'point' if margin == 0.01 else 'points'} (--margin)"
    return f"{said}: allowed, since {unsure if change.corrected >= alpha else small}"


def _direction(pair: Pair) -> str:
    made = changes([pair])[0]
    return "; ".join(words(part) for part in made) if made else "other wrong classes"
