"""Two runs on the same images: the paired table, and the images that changed sides."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bench.compare.compare import Comparison
from bench.compare.findings import Flip
from bench.figures.runs import CLEAN
from bench.text.brackets import bracketed
from leaderboards.reports.markup import Cell, section, share, table
from leaderboards.reports.subject import Subject

MOST = 20
"""Flips that are listed, for clean and for adversarial images each."""


def paired(comparison: Comparison, runs: Sequence[Subject]) -> str:
    """Accuracies, difference, flips in both directions and p; then the images whose draws changed sides."""
    rows: list[list[Cell]] = [
        [
            "clean" if change.which == CLEAN else "robust",
            share(change.before),
            share(change.after),
            bracketed(change.difference, signed=True),
            change.lost,
            change.won,
            f"{change.corrected:.3g}",
        ]
        for change in comparison.changes
    ]
    head = ["accuracy %", "A", "B", "B - A, points", "only A right", "only B right", "p"]
    differ = "; ".join(comparison.differ) or "nothing"
    lines = [f"<p>B differs from A in: {escape(differ)}. {comparison.n} images of both.</p>"]
    lines += [f"<p><strong>{escape(comparison.conflict)}</strong></p>"] if comparison.conflict else []
    flips = [_flips(comparison.flips, change.which, runs[0]) for change in comparison.changes]
    note = "Differences with 95 % intervals, in points; p: exact, paired, two-sided, Holm over the tests shown."
    return section("A and B on the same images", *lines, table("Paired comparison", head, rows), *flips, note=note)


def _flips(flips: Sequence[Flip], which: str, one: Subject) -> str:
    """The images of one kind on which some draw became right or wrong, sorted by id."""
    found = sorted((flip for flip in flips if flip.which == which and flip.changed_sides), key=lambda flip: flip.sample)
    if not found:
        return ""
    rows: list[list[Cell]] = []
    for flip in found[:MOST]:
        margin: list[Cell] = [] if which == CLEAN else ["" if flip.margin is None else f"{flip.margin:.2g}"]
        sides = (_seen(flip.before, flip, one), _seen(flip.after, flip, one))
        rows.append([flip.sample, one.class_name(flip.label), *sides, *margin])
    head = ["image", "class", "A", "B", *(["margin in A"] if which != CLEAN else [])]
    more = f", of which the first {MOST} are listed" if len(found) > MOST else ""
    name = f"{which.capitalize()} images that changed sides"
    return f"<h3>{name}: {len(found)}{more}</h3>" + table(name, head, rows)


def _seen(predictions: Sequence[int], flip: Flip, one: Subject) -> str:
    if len(predictions) > 1:
        return f"{predictions.count(flip.label)} of {len(predictions)} draws right"
    return f"{'' if predictions[0] == flip.label else '✗ '}{one.class_name(predictions[0])}"
