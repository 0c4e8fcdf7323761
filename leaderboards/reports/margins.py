"""Histograms of the margins on attacked images, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from leaderboards.reports.markup import section
from leaderboards.reports.subject import Subject

WIDTH, HEIGHT, BOTTOM, BINS = 640, 150, 24, 40
TAIL = 0.5
"""Percent of margins at each end that are drawn in the outermost bars."""


def margins(runs: Sequence[Subject]) -> str:
    """A histogram for each run, all on one axis."""
    found = [np.array([margin for line in one.record.lines for margin in line.margin]) for one in runs]
    if not all(np.isfinite(part).any() for part in found):
        return ""
    both = np.concatenate(found)
    both = both[np.isfinite(both)]
    low, high = min(0.0, np.percentile(both, TAIL)), max(0.0, np.percentile(both, 100 - TAIL))
    step = (high - low) / BINS or 1.0
    below = int(np.ceil(-low / step))  # an edge of the bars is at 0
    edges = step * np.arange(-below, max(1, int(np.ceil(high / step))) + 1)
    charts = [_chart(one, part[np.isfinite(part)], edges) for one, part in zip(runs, found, strict=True)]
    note = (
        "The margin is the logit of the label minus the largest other one, on the attacked image, for each scored draw: "
        "below 0 the image is misclassified. Margins close to 0 may flip under a slightly stronger attack."
    )
    return section("Margins", *charts, note=note)


def _chart(one: Subject, values: np.ndarray, edges: np.ndarray) -> str:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    room, tallest, width = HEIGHT - BOTTOM, max(1, counts.max()), WIDTH / len(counts)
    bars = "".join(
        f'<rect class="{"broken" if edge < -1e-12 else "kept"}" x="{place * width:.1f}" y="{room * (1 - count / tallest):.1f}" '
        f'width="{width - 1:.1f}" height="{room * count / tallest:.1f}"/>'
        for place, (edge, count) in enumerate(zip(edges[:-1], counts, strict=True))
        if count
    )
    zero = WIDTH * (0 - edges[0]) / (edges[-1] - edges[0])
    ends = ((0.0, "start", edges[0]), (zero, "middle", 0.0), (WIDTH, "end", edges[-1]))
    ticks = "".join(
        f'<text x="{x:.0f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{value:.2g}</text>'
        for x, anchor, value in ends
        if value == 0 or abs(x - zero) > WIDTH / 12
    )
    wrong = 100 * float((values < 0).mean())
    said = f"{one.heading}: {wrong:.1f} % of {len(values)} margins are below 0; the tallest bar has {counts.max()}"
    return (
        f'<figure class="chart"><figcaption>{escape(said)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">{bars}'
        f'<line x1="0" y1="{room}" x2="{WIDTH}" y2="{room}"/><line x1="{zero:.1f}" y1="0" x2="{zero:.1f}" y2="{room}"/>{ticks}</svg></figure>'
    )
