"""Security curves of a set of boards: the worst case of each defense over the radii of a norm, on the same images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.figures.aggregate import never_rising
from bench.stats.intervals import Interval, mean_share
from bench.threat import ThreatModel
from leaderboards.boards import Board
from leaderboards.rows import Row


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The curve of one defense with one classifier.

    Arguments:
        dataset: Name of the data set.
        norm: `linf` or `l2`.
        defense: Name of the defense.
        classifier: Name of the classifier.
        score_model: Name of the score model, if there is one.
        draws: Scored draws per image.
        n: Number of images: those that the rows at all radii have.
        points: Threat, radius in pixel units, and accuracy: clean at radius 0, without a threat, then at each radius the worst of
            the attacks there and at smaller radii.
        rows: The row at each radius, smallest first.
    """

    dataset: str
    norm: str
    defense: str
    classifier: str
    score_model: str | None
    draws: int
    n: int
    points: list[tuple[str | None, float, Interval]]
    rows: list[Row] = field(repr=False, compare=False)


def curves(boards: Sequence[Board]) -> list[Curve]:
    """One curve for each defense, classifier, score model and number of draws, of all rows, ranked or not."""
    found: dict[tuple[str, ...], list[tuple[ThreatModel, Row]]] = defaultdict(list)
    for board in boards:
        threat = ThreatModel.parse(board.threat)
        for row in board.every:
            parts = (row.defense, row.content or "", row.classifier, row.score_model or "", f"{row.draws:04d}")
            key = (board.dataset, board.content, threat.norm, *parts)
            found[key].append((threat, row))
    return [_curve(sorted(rows, key=lambda pair: pair[0].eps)) for _, rows in sorted(found.items())]


def _curve(rows: list[tuple[ThreatModel, Row]]) -> Curve:
    rows = _sharing(rows)
    threats, first = [threat for threat, _ in rows], rows[0][1]
    lowest = never_rising([first.clean_shares, *(row.shares for _, row in rows)])
    radii = [(None, 0.0), *((str(threat), threat.radius) for threat in threats)]
    return Curve(
        dataset=first.dataset,
        norm=threats[0].norm,
        defense=first.defense,
        classifier=first.classifier,
        score_model=first.score_model,
        draws=first.draws,
        n=len(lowest[0]),
        points=[
            (threat, radius, mean_share(part.shares)) for (threat, radius), part in zip(radii, lowest, strict=True)
        ],
        rows=[row for _, row in rows],
    )


def _sharing(rows: list[tuple[ThreatModel, Row]]) -> list[tuple[ThreatModel, Row]]:
    """The rows that share images, those with the most images first chosen; usually all."""
    kept: list[tuple[ThreatModel, Row]] = []
    shared: set[int] = set()
    for pair in sorted(rows, key=lambda pair: -pair[1].n):
        ids = set(pair[1].shares.ids.tolist())
        if not kept or shared & ids:
            kept, shared = [*kept, pair], shared & ids if kept else ids
    return sorted(kept, key=lambda pair: pair[0].eps)
