"""The two tiers of the gate: equal predictions, or no significant change."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from bench.compare.changes import changes, flips, words
from bench.compare.findings import Change, Finding, judged
from bench.compare.pairs import Pair
from bench.figures.runs import same_environment
from bench.stats.paired import power
from bench.text.words import counted

DISCORDANCE, DROP = 0.10, 0.05
"""The share of images that change, and the change of accuracy, for which the power is stated."""


def is_exact(pair: Pair) -> bool:
    """Whether predictions must be equal: a deterministic defense, the same spec and code, the same environment."""
    if pair.after is None or not pair.deterministic or pair.changed or pair.recoded:
        return False
    return same_environment(*pair.before.environments, *pair.after.environments)


def exact(pair: Pair) -> Finding:
    """The exact tier: all predictions equal those of the baseline."""
    flipped = flips(pair)
    found = "; ".join(map(words, changes([pair])[0])) or "other wrong classes"
    problem = f"{counted(len(flipped), 'prediction')} changed in the environment of the baseline: {found}"
    return judged("predictions", problem if flipped else "", _equal(pair), flipped)


def statistical(pair: Pair, made: Sequence[Change], *, alpha: float, margin: float) -> Finding:
    """The statistical tier: no change is both significant and larger than the margin.

    Arguments:
        pair: The row.
        made: The row's changes.
        alpha: Two-sided level after Holm.
        margin: Smallest change that counts, in [0, 1].
    """
    found = [part for part in made if part.corrected < alpha and abs(part.difference.value) > margin + 1e-12]
    allowed = f"allowed by --alpha {alpha:g} and --margin {100 * margin:g}"
    good = "; ".join(f"{words(part, meaning=False)}: {allowed}" for part in made) or _equal(pair)
    return judged("change", "; ".join(map(words, found)), good, flips(pair))


def _equal(pair: Pair) -> str:
    return f"all predictions of {len(pair.common)} images are the baseline's"


@cache
def power_text(n: int, tests: int, *, alpha: float, margin: float) -> str:
    """The power of the statistical tier with `n` images, corrected for so many tests, in words."""
    caught = power(n, DROP, DISCORDANCE, alpha=alpha / max(1, tests), margin=margin)
    return f"a change of {100 * DROP:g} points where {100 * DISCORDANCE:g} % of {n} images change is caught with probability {caught:.2f}"
