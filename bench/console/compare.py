"""A comparison of two runs as text: accuracies side by side, and the images that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.figures.runs import CLEAN, ROBUST
from bench.text.brackets import bracketed
from bench.text.columns import columns, folded

if TYPE_CHECKING:
    from bench.compare.compare import Comparison
    from bench.compare.findings import Change, Flip

MOST_FLIPS = 10
"""The most images shown that changed, for clean and for adversarial images each."""
WIDEST = 20
"""The most characters for the predictions of one image; longer lists are counted. Ten draws of ten classes fit."""
HEADINGS = {CLEAN: "clean", ROBUST: "robust"}
METHOD = "differences with 95 % intervals, in points; p: exact, paired, two-sided, Holm over the tests shown"


def comparison_text(comparison: Comparison) -> str:
    """Two runs side by side: accuracies, difference, flips in both directions, p, and the images that changed."""
    a, b = comparison.run_ids
    nothing = "claims to be the same run" if a == b else "differs in: nothing"
    differ = f"differs in: {'; '.join(comparison.differ)}" if comparison.differ else nothing
    parts = [
        "\n".join([folded(f"A {a}  ", comparison.name), folded(f"B {b}  ", differ), f"{comparison.n} images of both"]),
        *([folded("", comparison.conflict)] if comparison.conflict else []),
        columns(_cells(comparison.changes)),
        folded("", METHOD),
        *(_flips(comparison.flips, change.which) for change in comparison.changes),
    ]
    return "\n\n".join(part for part in parts if part)


def _cells(changes: Sequence[Change]) -> list[tuple[str, ...]]:
    """One row per figure, with a column for clean and one for adversarial images."""
    return [
        ("", *(HEADINGS[change.which] for change in changes)),
        ("A", *(bracketed(change.before) for change in changes)),
        ("B", *(bracketed(change.after) for change in changes)),
        ("B - A", *(bracketed(change.difference, signed=True) for change in changes)),
        ("only A right", *(str(change.lost) for change in changes)),
        ("only B right", *(str(change.won) for change in changes)),
        ("p", *(f"{change.corrected:.3g}" for change in changes)),
    ]


def _flips(flips: Sequence[Flip], which: str) -> str:
    """The first images of one kind on which some draw became right or wrong, sorted by id."""
    changed = sorted(
        (flip for flip in flips if flip.which == which and flip.changed_sides), key=lambda flip: flip.sample
    )
    if not changed:
        return ""
    margin = which == ROBUST
    rows = [("  image", "class", "A", "B", *(["margin in A"] if margin else []))]
    for flip in changed[:MOST_FLIPS]:
        cells = (
            f"  {flip.sample}",
            str(flip.label),
            _classes(flip.before, flip.label),
            _classes(flip.after, flip.label),
        )
        rows.append((*cells, *([f"{flip.margin:.2g}"] if margin else [])))
    more = len(changed) - MOST_FLIPS
    rest = [f"  and {more} more, with --json"] if more > 0 else []
    return "\n".join([f"{which} images that changed sides: {len(changed)}", columns(rows), *rest])


def _classes(predictions: Sequence[int], label: int) -> str:
    text = " ".join(map(str, predictions))
    return text if len(text) <= WIDEST else f"{predictions.count(label)} of {len(predictions)} right"
