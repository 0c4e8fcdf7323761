"""Figures of column width: robust against clean, robust against cost, security curves."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from bench.stats.intervals import Interval
from bench.threat import ThreatModel
from leaderboards.boards import Board, only_one
from leaderboards.curves import curves
from leaderboards.papers.spec import PaperSpec
from leaderboards.rows import Row

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
MARKERS = "osD^vPX*"
"""Markers, and the colours of Okabe and Ito, which colour-blind readers can distinguish."""


def figure(spec: PaperSpec, boards: Sequence[Board], kind: str) -> bytes:
    """The figure as `pdf` or `png`.

    Raises:
        UserError: There are several boards, but the figure needs one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(spec.width, 0.75 * spec.width), dpi=300, layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.subplots()
    small = min(8.0, 2.6 * spec.width)
    {"curve": _curve, "cost-robust": _cost, "clean-robust": _scatter}[spec.plot](axes, boards, small)
    axes.tick_params(labelsize=small - 1)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(color="#e4e4e4", linewidth=0.5, zorder=0)
    content = io.BytesIO()
    drawn.savefig(content, format=kind, metadata={"CreationDate": None} if kind == "pdf" else {"Software": None})
    return content.getvalue()


def _scatter(axes: Any, boards: Sequence[Board], size: float) -> None:
    for number, row in enumerate(only_one(boards, "for this figure").every):
        _point(axes, 100 * row.clean.value, row, number, x_error=_errors(row.clean))
    _finish(axes, "clean accuracy (%)", size)


def _cost(axes: Any, boards: Sequence[Board], size: float) -> None:
    rows = [row for row in only_one(boards, "for this figure").every if row.passes is not None]
    for number, row in enumerate(rows):
        _point(axes, row.passes or 0.0, row, number)
    most = max((row.passes or 0.0 for row in rows), default=1.0)
    ticks = [tick for tick in (0, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000) if tick <= 1.3 * most]
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks(ticks, labels=[f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(-0.08, 1.4 * max(1.0, most))
    _finish(axes, "score-model passes per image", size)


def _curve(axes: Any, boards: Sequence[Board], size: float) -> None:
    keys = {
        (one.defense, one.classifier, one.score_model or "no score model", f"{one.draws} draws"): one
        for one in curves(boards)
    }
    for number, (parts, one) in enumerate(sorted(keys.items())):
        name = _distinct(parts, list(keys))
        radii, shares = [255 * radius for _, radius, _ in one.points], [share for _, _, share in one.points]
        errors = list(zip(*(_errors(share) for share in shares), strict=True))
        axes.errorbar(
            radii,
            [100 * share.value for share in shares],
            yerr=errors,
            label=name,
            color=COLORS[number % len(COLORS)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=3.5,
            linewidth=1,
            elinewidth=0.7,
            capsize=1.5,
        )
    axes.set_xticks([0.0, *sorted({255 * ThreatModel.parse(board.threat).radius for board in boards})])
    norms = {ThreatModel.parse(board.threat).norm for board in boards}
    _finish(axes, f"radius (pixel levels of 255, {', '.join(sorted(norms))})", size)


def _distinct(key: tuple[str, ...], keys: Sequence[tuple[str, ...]]) -> str:
    """The defense, and the parts that distinguish it from others of its name."""
    same = [other for other in keys if other[0] == key[0]]
    return ", ".join(part for place, part in enumerate(key) if place == 0 or len({other[place] for other in same}) > 1)


def _point(axes: Any, x: float, row: Row, number: int, x_error: tuple[float, float] | None = None) -> None:
    low, high = _errors(row.worst_case)
    axes.errorbar(
        [x],
        [100 * row.worst_case.value],
        yerr=[[low], [high]],
        xerr=x_error and [[x_error[0]], [x_error[1]]],
        label=row.defense,
        color=COLORS[number % len(COLORS)],
        marker=MARKERS[number % len(MARKERS)],
        markersize=4,
        elinewidth=0.7,
        linestyle="none",
        markerfacecolor="white" if row.missing else COLORS[number % len(COLORS)],
        zorder=3,
    )


def _errors(interval: Interval) -> tuple[float, float]:
    return 100 * (interval.value - interval.low), 100 * (interval.high - interval.value)


def _finish(axes: Any, x_label: str, size: float) -> None:
    axes.set_xlabel(x_label, fontsize=size)
    axes.set_ylabel("worst-case accuracy (%)", fontsize=size)
    axes.set_ylim(-2, 100)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=size - 1.5, frameon=False, handletextpad=0.4, borderpad=0.2, labelspacing=0.3)
