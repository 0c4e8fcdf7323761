"""Checks of the adversarial images that a row stores: they lie in the ball, and score as recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.compare.findings import CLOSE, OTHER_CODE, Finding, judged
from bench.figures.runs import Run
from bench.records.spec import differences, of_code
from bench.registry.registry import Registry
from bench.run.replay import replan, worker_of
from bench.verify.judge import judge_ball
from bench.verify.rescored import Rescored, Rescoring


def stored_images(
    run: Run, registry: Registry, whose: str, *, data_dir: Path | None = None, device: str = "auto"
) -> list[Finding]:
    """The findings on the images that a run stores.

    Arguments:
        run: The run.
        registry: Finds its names.
        whose: `baseline` or `result`, for the names of the findings.
        data_dir: Where data sets lie.
        device: As on the command line.
    """
    planned = replan(run.header, registry, data_dir)
    scores = Rescoring(run, planned, worker_of(run, planned, device=device), clean=False).scores()
    if scores.adversarial is None:
        return [Finding(check=f"stored images ({whose})", passed=None, detail="none are stored")]
    ball = judge_ball(run, scores.outside, f"inside the ball ({whose})")
    changed = differences(run.spec, planned.spec)
    other = [phrase for phrase in changed if not of_code(phrase)]
    if other:
        return [ball, Finding(check=f"parts ({whose})", passed=False, detail="; ".join(other))]
    return [ball, _judged(scores.adversarial, whose, recoded=bool(changed))]


def _judged(scored: Rescored, whose: str, *, recoded: bool) -> Finding:
    """The finding on new scores: equal bits, close margins (changed code), or equal predictions (another environment)."""
    n, check = len(scored.ids), f"scored again ({whose})"
    if scored.same and not recoded:
        check, wrong = f"same bits ({whose})", scored.changed | (scored.moved > 0)
        good = f"{n} stored images score to the recorded margins"
        bad = f"{wrong.sum()} of {n} stored images do not score to the recorded margins"
    elif scored.same:
        wrong = scored.moved > CLOSE
        good = f"{n} stored images score to the recorded margins, {OTHER_CODE}"
        bad = f"{_robust(scored)}: the code computes something else, margins of {wrong.sum()} of {n} stored images moved by up to {scored.moved.max():.1g}, more than rounding explains"
    else:
        wrong = scored.wrong
        good = f"{n} stored images have the recorded predictions, in another environment"
        bad = (
            f"{wrong.sum()} of {n} stored images have other predictions, despite recorded margins of at least {CLOSE:g}"
        )
    return judged(check, bad if wrong.any() else "", good, scored.flips(wrong & scored.changed))


def _robust(scored: Rescored) -> str:
    labels = scored.run.labels[scored.rows][:, None]
    before, now = (100 * np.mean(part == labels) for part in (scored.recorded, scored.predictions))
    return f"robust accuracy on the stored images {before:.1f} -> {now:.1f} %"
