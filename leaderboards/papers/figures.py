"""Figures of column width: robust against clean, robust against cost, security curves."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from typing import Any

from bench.stats.intervals import Interval
from leaderboards.papers.labels import LETTERS, direct_labels, legend_below, short
from leaderboards.papers.series import Panel, Series, as_data

STYLES = (
    ("#0072B2", "o", "-"), ("#D55E00", "s", "--"), ("#009E73", "D", "-"), ("#CC79A7", "^", "--"), ("#E69F00", "v", "-"),
    ("#56B4E9", "P", "--"), ("#333333", "X", "-"), ("#0072B2", "<", ":"), ("#D55E00", ">", ":"), ("#009E73", "*", ":"),
)  # fmt: skip
"""Colour, marker and line of each series: the colours of Okabe and Ito, which colour-blind readers can distinguish.
Broken lines lie on whole ones, so that both are seen where they coincide."""
RULES: dict[Any, Any] = {
    "pdf.fonttype": 42,  # TrueType, embedded: publishers refuse matplotlib's default, Type 3
    "ps.fonttype": 42,
    "font.size": 7,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 6.5,
}
WIDE = 5.0
"""Width in inches from which panels are beside one another, not above."""
PANEL = 2.1
"""Height of a panel in inches, without the legend."""
MOST = 0.35
"""Most width of direct labels, as a share of their panel; longer ones go into a legend."""
HOLLOW = "hollow: incomplete"


def figure(panels: Sequence[Panel], width: float, kind: str) -> bytes:
    """A figure as `pdf` or `png`; its metadata hold what is drawn, as JSON."""
    from matplotlib import rc_context

    content, data = io.BytesIO(), json.dumps(as_data(panels), separators=(",", ":"))
    metadata = {"CreationDate": None, "Subject": data} if kind == "pdf" else {"Software": None, "Description": data}
    with rc_context(RULES):
        draw(panels, width).savefig(content, format=kind, metadata=metadata)
    return content.getvalue()


def draw(panels: Sequence[Panel], width: float) -> Any:
    """The matplotlib figure: curves have direct labels where these fit, everything else has a legend below.

    Arguments:
        panels: What is drawn, one pair of axes each.
        width: In inches.
    """
    from matplotlib import rc_context

    names = [short(part.name, width) for panel in panels for part in panel.series]
    longest = max(len(line) for name in names for line in name.splitlines())
    direct = all(panel.lines for panel in panels) and longest / LETTERS <= MOST * width / _beside(panels, width)
    with rc_context(RULES):
        return _drawn(panels, width, direct=direct)


def _beside(panels: Sequence[Panel], width: float) -> int:
    return len(panels) if width >= WIDE else 1


def _drawn(panels: Sequence[Panel], width: float, *, direct: bool) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = _beside(panels, width)
    height = PANEL * math.ceil(len(panels) / across)
    drawn = Figure(figsize=(width, height), dpi=300, layout="constrained")
    FigureCanvasAgg(drawn)
    handles: dict[str, Any] = {}
    names = dict.fromkeys(part.name for panel in panels for part in panel.series)
    styles = {name: STYLES[place % len(STYLES)] for place, name in enumerate(names)}
    pairs = drawn.subplots(len(panels) // across, across, squeeze=False).flat
    for axes, panel in zip(pairs, panels, strict=True):
        for part in panel.series:
            handles[short(part.name, width)] = _draw_series(axes, part, styles[part.name])
        _finish(axes, panel, width / across)
        if direct:
            ends = [(part.x[-1], 100 * part.y[-1].value) for part in panel.series]
            words = [(short(part.name, width), styles[part.name][0]) for part in panel.series]
            direct_labels(axes, [(*word, *end) for word, end in zip(words, ends, strict=True)])
    hollow = any(not part.complete for panel in panels for part in panel.series)
    legend_below(drawn, ({} if direct else handles), HOLLOW if hollow else "")
    drawn.draw_without_rendering()
    return drawn


def _draw_series(axes: Any, part: Series, style: tuple[str, str, str]) -> Any:
    color, marker, line = style
    return axes.errorbar(
        part.x,
        [100 * share.value for share in part.y],
        yerr=list(zip(*map(_errors, part.y), strict=True)),
        xerr=part.x_interval and [[error] for error in _errors(part.x_interval)],
        color=color,
        marker=marker,
        markersize=5.5 if marker == "*" else 4,
        markerfacecolor=color if part.complete else "white",
        linewidth=1,
        linestyle=line if len(part.x) > 1 else "none",
        elinewidth=0.6,
        zorder=3,
    )


def _errors(interval: Interval) -> tuple[float, float]:
    return 100 * (interval.value - interval.low), 100 * (interval.high - interval.value)


def _finish(axes: Any, panel: Panel, width: float) -> None:
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel("worst-case accuracy (%)")
    axes.set_ylim(-3, 103)
    axes.set_yticks(range(0, 101, 20))
    axes.minorticks_off()
    if panel.logarithmic:
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(-0.12, 1.5 * max(x for part in panel.series for x in part.x))
    else:
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=int(2 * width))
    if panel.ticks:
        axes.set_xticks(
            panel.ticks, labels=[f"{tick:g}" if tick < 1000 else f"{tick / 1000:g}k" for tick in panel.ticks]
        )
