"""Names of series in figures: beside the ends of lines, or in a legend below the axes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SIZE = 6.5
"""Font size of names, in points."""
LETTERS = 20
"""Letters of that size to an inch, about."""
INK, RULE = "#222222", "#999999"


def short(name: str, width: float) -> str:
    """A name in lines of at most half of the figure's width, in inches."""
    return textwrap.fill(name, int(LETTERS * width / 2), break_long_words=False, break_on_hyphens=False)


def direct_labels(axes: Any, ends: Sequence[tuple[str, str, float, float]]) -> None:
    """Writes a name right of the axes for each line, in the order of their heights and without overlaps.

    Arguments:
        axes: Matplotlib axes with their final limits.
        ends: Name, colour and last point of each line, in data units.
    """
    from matplotlib.text import Text

    labels = [
        axes.annotate(
            name,
            xy=(x, y),
            xytext=(1.05, y),
            textcoords=axes.get_yaxis_transform(),
            arrowprops={
                "arrowstyle": "-",
                "color": color,
                "linewidth": 0.7,
                "shrinkA": 1,
                "shrinkB": 2,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
            fontsize=SIZE,
            color=INK,
            verticalalignment="center",
        )
        for name, color, x, y in ends
    ]
    axes.figure.draw_without_rendering()  # the layout decides how high the axes are
    renderer = axes.figure.canvas.get_renderer()
    gap = max(Text.get_window_extent(label, renderer).height for label in labels) * 1.15  # without its line
    bottom, top = axes.get_ylim()
    unit = (top - bottom) / axes.get_window_extent(renderer).height
    heights = spread([y for *_, y in ends], gap * unit, (bottom, top))
    for label, height in zip(labels, heights, strict=True):
        label.set_position((1.05, height))


def spread(heights: Sequence[float], gap: float, limits: tuple[float, float]) -> list[float]:
    """The heights, moved as little as possible (in squares) so that any two differ by `gap`.

    They keep their order; of equal ones the first is the highest. They are `z_i + i * gap` with z the isotonic regression of `y_i - i * gap`.

    References:
        Active set algorithms for isotonic regression; a unifying framework (Best and Chakravarti, 1990)
        https://doi.org/10.1007/BF01580873

    Arguments:
        heights: The heights.
        gap: Least distance of two.
        limits: Lowest and highest; exceeded at the lower end if there is too little room.
    """
    order = np.lexsort((-np.arange(len(heights)), np.asarray(heights)))
    steps = gap * np.arange(len(order))
    blocks: list[tuple[float, int]] = []
    for value in np.asarray(heights, dtype=float)[order] - steps:
        blocks.append((float(value), 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (last, m), (before, n) = blocks.pop(), blocks.pop()
            blocks.append(((last * m + before * n) / (m + n), m + n))
    pooled = np.repeat([mean for mean, _ in blocks], [count for _, count in blocks])
    low, high = limits
    placed = np.minimum(np.maximum(pooled, low), high - steps[-1]) + steps if len(order) else pooled
    result = np.empty(len(order))
    result[order] = placed
    return [float(height) for height in result]


def legend_below(figure: Any, handles: Mapping[str, Any], note: str = "") -> None:
    """Adds a legend below all axes, in as many columns as fit, and makes the figure higher by its height.

    Arguments:
        figure: Matplotlib figure with a constrained layout.
        handles: What each name refers to.
        note: A remark on all series; empty for none.
    """
    from matplotlib.lines import Line2D

    shown = dict(handles)
    if note:
        shown[note] = Line2D([], [], color=RULE, marker="o", markersize=4, markerfacecolor="white", linestyle="none")
    if not shown:
        return
    renderer, room = figure.canvas.get_renderer(), figure.bbox.width - 0.05 * figure.dpi
    for columns in range(min(4, len(shown)), 0, -1):
        legend = figure.legend(
            shown.values(), shown.keys(), loc="outside lower center", ncols=columns, fontsize=SIZE, labelcolor=INK,
            handletextpad=0.5, columnspacing=1.2, labelspacing=0.35, borderpad=0.2,
        )  # fmt: skip
        extent = legend.get_window_extent(renderer)
        if extent.width <= room or columns == 1:
            break
        legend.remove()
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + extent.height / figure.dpi)
