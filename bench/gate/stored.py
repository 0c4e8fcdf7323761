"""Checks of stored adversarial images: inside the ball, and scored again here and now. The only part that needs torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.compare.findings import CLOSE, Finding, Flip
from bench.figures.runs import Run, same_environment
from bench.records.spec import of_code
from bench.registry.registry import Registry
from bench.run.replay import Rescored, rescore


def stored_images(
    run: Run, registry: Registry, whose: str, *, data_dir: Path | None = None, device: str = "auto"
) -> list[Finding]:
    """The findings on the images that a run stores; a finding that says so if it stores none.

    Arguments:
        run: The run.
        registry: What its names stand for.
        whose: `baseline` or `result`, for the findings' names.
        data_dir: Where data sets lie.
        device: As on the command line.
    """
    scored = rescore(run, registry, data_dir=data_dir, device=device)
    if scored is None:
        return [Finding(check=f"stored images ({whose})", passed=None, detail="none are stored")]
    findings = [_ball(scored, whose)]
    changed = [phrase for phrase in scored.changed if not of_code(phrase)]
    if changed:
        return [*findings, Finding(check=f"parts ({whose})", passed=False, detail="; ".join(changed))]
    if not same_environment(*run.environments, scored.environment):
        return [*findings, _same_predictions(run, scored, whose)]
    return [*findings, _same_outputs(run, scored, whose) if scored.changed else _same_bits(run, scored, whose)]


def _ball(scored: Rescored, whose: str) -> Finding:
    check = f"inside the ball ({whose})"
    if scored.outside:
        return Finding(check=check, passed=False, detail=f"images {scored.outside[:5]} are outside the ball or [0, 1]")
    return Finding(check=check, passed=True, detail=f"all {len(scored.ids)} stored images")


def _same_bits(run: Run, scored: Rescored, whose: str) -> Finding:
    check, rows = f"same bits ({whose})", _rows(run, scored)
    wrong = (run.adversarial[rows] != scored.predictions).any(axis=1) | (_margins(run, rows) != scored.margins).any(
        axis=1
    )
    if wrong.any():
        return Finding(
            check=check, passed=False, flips=_flips(run, scored, wrong),
            detail=f"{int(wrong.sum())} stored images score otherwise than recorded, in the environment of the record: {scored.ids[wrong][:5].tolist()}",
        )  # fmt: skip
    return Finding(check=check, passed=True, detail=f"{len(scored.ids)} stored images score to the recorded margins")


def _same_outputs(run: Run, scored: Rescored, whose: str) -> Finding:
    """What other code gives where only rounding may differ: margins that are the recorded ones."""
    recorded = _margins(run, _rows(run, scored))
    moved = np.abs(scored.margins - recorded) / np.maximum(1, np.abs(recorded))
    wrong = (moved > CLOSE).any(axis=1)
    but = f", but for {_amount(moved.max())}" if moved.max() else ""
    detail = f"{len(scored.ids)} stored images score to the recorded margins{but}, by other code"
    if wrong.any():
        detail = (
            f"robust accuracy on the stored images {_robust(run, scored)}: the code computes something else, margins of {int(wrong.sum())} of {len(wrong)} "
            f"stored images moved by up to {_amount(moved.max())}, more than rounding does ({CLOSE:g})"
        )
    return Finding(
        check=f"scored again ({whose})", passed=not wrong.any(), detail=detail, flips=_flips(run, scored, wrong)
    )


def _robust(run: Run, scored: Rescored) -> str:
    before, after = (
        100 * (predictions == scored.labels[:, None]).mean()
        for predictions in (run.adversarial[_rows(run, scored)], scored.predictions)
    )
    return f"as before ({after:.1f} %)" if f"{before:.1f}" == f"{after:.1f}" else f"{before:.1f} -> {after:.1f} %"


def _amount(value: float) -> str:
    return f"{value:.0f}" if value >= 1 else f"{value:.1g}"


def _same_predictions(run: Run, scored: Rescored, whose: str) -> Finding:
    check, rows = f"scored again ({whose})", _rows(run, scored)
    other = (run.adversarial[rows] != scored.predictions) & (np.abs(_margins(run, rows)) >= CLOSE)
    wrong = other.any(axis=1)
    if wrong.any():
        return Finding(
            check=check, passed=False, flips=_flips(run, scored, wrong),
            detail=f"{int(wrong.sum())} stored images are predicted otherwise although their recorded margin is at least {CLOSE:g}: {scored.ids[wrong][:5].tolist()}",
        )  # fmt: skip
    return Finding(
        check=check,
        passed=True,
        detail=f"{len(scored.ids)} stored images, in another environment than the record's",
    )


def _rows(run: Run, scored: Rescored) -> np.ndarray:
    return np.array([run.row_of[sample] for sample in scored.ids.tolist()], dtype=np.int64)


def _margins(run: Run, rows: np.ndarray) -> np.ndarray:
    return np.array([run.lines[row].margin for row in rows])


def _flips(run: Run, scored: Rescored, wrong: np.ndarray) -> list[Flip]:
    """Those of the wrong images whose predictions are others."""
    wrong = wrong & (run.adversarial[_rows(run, scored)] != scored.predictions).any(axis=1)
    rows, margins = _rows(run, scored), _margins(run, _rows(run, scored))
    return [
        Flip(
            int(scored.ids[place]), int(scored.labels[place]), "adversarial", run.adversarial[rows[place]].tolist(),
            scored.predictions[place].tolist(), float(np.abs(margins[place]).min()),
        )
        for place in np.flatnonzero(wrong)
    ]  # fmt: skip
