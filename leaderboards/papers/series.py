"""What the figures of papers show: panels of series, as numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench.errors import UserError
from bench.stats.intervals import Interval
from bench.threat import NORMS, ThreatModel
from leaderboards.boards import Board, only_one
from leaderboards.curves import Curve, curves
from leaderboards.papers.chosen import Named, distinct_names, fits, named_rows, top_rows
from leaderboards.papers.spec import MOST_SERIES, PaperSpec
from leaderboards.rows import Row

LEVELS = 255
"""Radii of linf are drawn in pixel levels, as papers write them."""
DIGITS = 6
NORM_SIGNS = {"linf": r"$\ell_\infty$", "l2": r"$\ell_2$", "l1": r"$\ell_1$"}


@dataclass(frozen=True, kw_only=True)
class Series:
    """A point, or a line of points.

    Arguments:
        name: Its label.
        x: Positions.
        y: Accuracies with their intervals, one a position.
        x_interval: The interval of the only position, if that is an accuracy.
        complete: Whether its rows faced every required class of attacks.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[Interval, ...]
    x_interval: Interval | None = None
    complete: bool = True


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The content of one pair of axes.

    Arguments:
        x_label: Label of the horizontal axis.
        series: The series, most robust first.
        ticks: Positions of the ticks; empty for automatic ones.
        logarithmic: Whether the horizontal axis is logarithmic above 1.
        lines: Whether points are joined.
    """

    x_label: str
    series: tuple[Series, ...]
    ticks: tuple[float, ...] = ()
    logarithmic: bool = False
    lines: bool = False


def panels(spec: PaperSpec, boards: Sequence[Board]) -> list[Panel]:
    """The panels of a figure: one, or for curves one for each norm.

    Raises:
        UserError: There are several boards, but the figure needs one; a row is not on the board; no or too many rows fit.
    """
    made = _curves(spec, boards) if spec.plot == "curve" else [_points(spec, only_one(boards, "for this figure"))]
    for panel in made:
        if not 0 < len(panel.series) <= MOST_SERIES:
            raise UserError("figure-rows", most=MOST_SERIES, count=len(panel.series))
    return made


def as_data(made: Sequence[Panel]) -> list[dict[str, object]]:
    """The series of each panel for JSON, with values, lower and upper ends, rounded; equal if the same is drawn."""
    return [{panel.x_label: [_as_data(part) for part in panel.series]} for panel in made]


def _as_data(part: Series) -> dict[str, object]:
    ends = [[round(end, DIGITS) for end in (share.value, share.low, share.high)] for share in part.y]
    return {"name": part.name, "x": [round(x, DIGITS) for x in part.x], "y": ends, "complete": part.complete}


def _points(spec: PaperSpec, board: Board) -> Panel:
    cost = spec.plot == "cost-robust"
    named_rows(spec.rows, board.every, f"{board.dataset}, {board.threat}")
    chosen = _chosen(spec, board.rows or board.incomplete, board.every)
    chosen = [(title, row) for title, row in chosen if not cost or row.passes is not None]
    series = [
        Series(
            name=name,
            x=(float(row.passes or 0) if cost else 100 * row.clean.value,),
            y=(row.worst_case,),
            x_interval=None if cost else row.clean,
            complete=not row.missing,
        )
        for name, (_, row) in zip(distinct_names(chosen), chosen, strict=True)
    ]
    ordered = _most_robust_first(series)
    if not cost:
        return Panel(x_label="clean accuracy (%)", series=ordered)
    most = max((part.x[0] for part in ordered), default=0.0)
    label = "score-model passes"
    return Panel(x_label=label, series=ordered, ticks=_decades(most), logarithmic=most > 1)


def _chosen(spec: PaperSpec, ranked: Sequence[Row], every: Sequence[Row]) -> list[Named]:
    """The rows that the spec names, with their titles; else the first of those in order."""
    if spec.rows:
        return [(part.title, row) for part in spec.rows for row in every if fits(row, part)]
    return [(None, row) for row in top_rows(ranked, spec.top)]


def _most_robust_first(series: Sequence[Series]) -> tuple[Series, ...]:
    return tuple(sorted(series, key=lambda part: -part.y[-1].value))


def _decades(most: float) -> tuple[float, ...]:
    """Ticks from 0 on: 1, 10, 100, ...; between them 3, 30, ... if there are few."""
    fine = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
    ticks = fine if most <= fine[-1] else (0.0, *(10.0**k for k in range(12)))
    return tuple(tick for tick in ticks if tick <= 1.3 * most) or (0.0,)


def _curves(spec: PaperSpec, boards: Sequence[Board]) -> list[Panel]:
    """A panel for each norm, of the rows that were attacked at several of its radii if there are any."""
    names = list(dict.fromkeys(board.dataset for board in boards))
    if len(names) > 1:
        raise UserError("figure-datasets", names=names)
    named_rows(spec.rows, [row for board in boards for row in board.every], names[0])
    by_norm: dict[str, list[Board]] = defaultdict(list)
    for board in boards:
        by_norm[ThreatModel.parse(board.threat).norm].append(board)
    chosen = {norm: _chosen_curves(spec, by_norm[norm]) for norm in NORMS if norm in by_norm}
    drawn = {norm: lines for norm, lines in chosen.items() if lines} or chosen
    every = [line for lines in drawn.values() for line in lines]
    names_of = distinct_names([(title, curve.rows[-1]) for title, curve in every])
    titles = dict(zip((id(curve) for _, curve in every), names_of, strict=True))
    return [_panel(norm, [(titles[id(curve)], curve) for _, curve in lines]) for norm, lines in drawn.items()]


def _chosen_curves(spec: PaperSpec, boards: Sequence[Board]) -> list[tuple[str | None, Curve]]:
    """The curves of one norm with their titles; without names those of several radii if there are any."""
    by_last = {id(curve.rows[-1]): curve for curve in curves(boards)}
    every = [curve.rows[-1] for curve in by_last.values()]
    several = [curve.rows[-1] for curve in by_last.values() if len(curve.rows) > 1] or every
    return [(title, by_last[id(row)]) for title, row in _chosen(spec, several, every)]


def _panel(norm: str, lines: Sequence[tuple[str, Curve]]) -> Panel:
    series = [_series(name, curve) for name, curve in lines]
    return Panel(
        x_label=f"{NORM_SIGNS[norm]} radius ({'1/255' if norm == 'linf' else 'pixel units'})",
        series=_most_robust_first(series),
        ticks=(0.0, *sorted({radius for part in series for radius in part.x[1:]})),
        lines=True,
    )


def _series(name: str, curve: Curve) -> Series:
    levels = LEVELS if curve.norm == "linf" else 1
    radii = (float(levels * ThreatModel.parse(threat).eps) if threat else 0.0 for threat, _, _ in curve.points)
    return Series(
        name=name,
        x=tuple(radii),
        y=tuple(share for _, _, share in curve.points),
        complete=not any(row.missing for row in curve.rows),
    )
