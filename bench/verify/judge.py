"""The findings on images scored again: equal predictions, close margins, fresh draws as expected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.compare.findings import CLOSE, Finding, judged
from bench.figures.runs import CLEAN, ROBUST, Run
from bench.verify.fresh import LEVEL, fresh_mean
from bench.verify.rescored import Rescored, flip_of

AGREE = 1e-4
"""Largest difference of margins in the record's own environment, relative to the margin or to 1: threads sum in other orders."""


def judge_ball(run: Run, outside: Sequence[int], check: str = "ball and box") -> Finding:
    """The finding on the position of the stored images: in the ball, in [0, 1], at the recorded distance.

    Arguments:
        run: The record.
        outside: Ids of images outside the ball or [0, 1], or not at their recorded distance.
        check: Name of the check.
    """
    problem = f"images {list(outside)[:5]} are outside the ball or [0, 1], or not at their recorded distance"
    good = f"every stored image lies in {run.spec.threat} around the data set's own"
    flips = [flip_of(run, sample, ROBUST) for sample in outside]
    return judged(check, problem if outside else "", good, flips)


def judge_predictions(scored: Rescored) -> Finding:
    """The finding on predictions, which have to equal the recorded ones."""
    wrong, n = scored.wrong, len(scored.ids)
    near = int(scored.changed.sum() - wrong.sum())
    but = f", except {near} with margins below {CLOSE:g}" if near else ""
    problem = f"{wrong.sum()} of {n} images have other predictions" if wrong.any() else ""
    check = f"{'clean' if scored.which == CLEAN else 'adversarial'} predictions"
    return judged(check, problem, f"{n} images have the recorded predictions{but}", scored.flips(wrong))


def judge_margins(scored: Rescored) -> Finding:
    """The finding on margins; in another environment, where rounding differs, large differences do not fail."""
    moved = scored.moved
    wrong = moved > AGREE
    limit = f", more than {AGREE:g}" if wrong.any() and scored.same else ""
    much = f"{'up to' if limit else 'at most'} {moved.max():.1e}{limit}"
    where = "the record's own environment" if scored.same else "another environment than the record's"
    detail = f"they differ by {much}, relative to the margin or to 1, in {where}"
    if not scored.same:
        return Finding(check="margins", passed=None if wrong.any() else True, detail=detail)
    flips = [flip_of(scored.run, sample, ROBUST) for sample in scored.ids[wrong].tolist()]
    return Finding(check="margins", passed=not wrong.any(), detail=detail, flips=flips)


def judge_fresh(scored: Rescored, predictions: np.ndarray) -> Finding:
    """The finding on one fresh draw per stored image, compared with the recorded draws.

    Arguments:
        scored: The stored images.
        predictions: Predictions under the fresh draw, `(n,)`.
    """
    run, rows = scored.run, scored.rows
    mean = fresh_mean(run.hits(ROBUST)[rows], predictions == run.labels[rows])
    expected = f"expected {100 * mean.low:.1f} to {100 * mean.high:.1f} %"
    detail = f"{100 * mean.value:.1f} % right, {expected} (an honest record fails once in {1 / LEVEL:.0f})"
    if run.spec.attack.knowledge == "known":
        detail += "; the attack was made for the recorded draws"
        return Finding(check="fresh draws", passed=None, detail=detail)
    return Finding(check="fresh draws", passed=mean.inside, detail=detail)
