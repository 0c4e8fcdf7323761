"""The gate as a whole: a baseline and results in, a report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.compare.changes import changes
from bench.compare.findings import Finding, Report, RowReport
from bench.compare.pairs import Pair, pair_up
from bench.errors import UserError
from bench.figures.runs import CLEAN, ROBUST, Run, read_runs
from bench.gate import invariants
from bench.gate.tiers import exact, is_exact, power_text, statistical

Stored = Callable[[Run, str], list[Finding]]
"""Findings on the images that a run stores; `bench.gate.stored` without its machinery."""


@dataclass(frozen=True, kw_only=True)
class Today:
    """What is known of today's code.

    Arguments:
        other_code: The parts of a run whose code is not today's, as phrases.
        twin: The row that stands by today's code for what a row was whose code is gone.
    """

    other_code: Callable[[Run], list[str]] = lambda _: []
    twin: Callable[[Run], Run | None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class Bars:
    """How strict the gate is.

    Arguments:
        alpha: Two-sided level of the statistical tier, after Holm; in (0, 1).
        margin: Smallest change that fails it, in percentage points, in [0, 100).
    """

    alpha: float = 0.01
    margin: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise UserError(f"expected --alpha in (0, 1), got {self.alpha:g}; choose for example 0.01")
        if not 0 <= self.margin < 100:
            raise UserError(
                f"expected --margin in percentage points, in [0, 100), got {self.margin:g}; choose for example 1.0"
            )


def read_baseline(baseline: Path) -> list[Run]:
    """The runs of a baseline.

    Raises:
        UserError: There are none.
    """
    runs = list(read_runs(baseline))
    if not runs:
        raise UserError(
            f'expected the records of a baseline in {baseline}, got none; make one: bench check --baseline {baseline} --update --reason "first"'
        )
    return runs


def check(
    before: Sequence[Run], after: Sequence[Run], bars: Bars, stored: Stored, today: Today | None = None
) -> Report:
    """Compares runs with their baseline.

    Arguments:
        before: The baseline's runs.
        after: The runs to judge.
        bars: How strict to be.
        stored: What is found on stored images.
        today: What is known of today's code; None if nothing is.
    """
    today = today or Today()
    pairs, twins = pair_up(before, after), [today.twin(run) for run in before]
    pairs = [Pair(pair.before, None, []) if twin else pair for pair, twin in zip(pairs, twins, strict=True)]
    made = changes([pair if not is_exact(pair) else Pair(pair.before, None, []) for pair in pairs])
    tests, margin = sum(map(len, made)), bars.margin / 100
    rows = []
    for pair, found, twin in zip(pairs, made, twins, strict=True):
        other = [] if pair.after is None else today.other_code(pair.after)
        code = invariants.code(pair, other, twin)
        findings = [
            *([] if twin else [invariants.spec_unchanged(pair), invariants.all_images(pair)]),
            *([code] if code else []),
            invariants.sealed("seal (baseline)", pair.before),
        ]
        tier, power = "missing", ""
        if pair.after is not None and pair.common:
            findings += _of_result(pair, pair.after)
            tier = "exact" if is_exact(pair) else "statistical"
            found = found or (changes([pair])[0] if tier == "exact" else [])
            findings.append(
                exact(pair) if tier == "exact" else statistical(pair, found, alpha=bars.alpha, margin=margin)
            )
            power = "" if tier == "exact" else power_text(len(pair.common), tests, alpha=bars.alpha, margin=margin)
            findings += [*stored(pair.before, "baseline"), *stored(pair.after, "result")]
        rows.append(
            RowReport(
                name=pair.name, run_id=pair.before.run_id, result_id=None if pair.after is None else pair.after.run_id, tier=tier, n=len(pair.common), findings=findings, changes=found, power=power,
                accuracy=_accuracy(pair), other_code=other, gone=str(pair.before.path) if twin else None,
            )
        )  # fmt: skip
    judged = [pair.after for pair in pairs if pair.after is not None]
    return Report(rows=rows, together=invariants.worst_cases(judged))


def _accuracy(pair: Pair) -> dict[str, list[float]]:
    names = {CLEAN: "clean", ROBUST: "robust"}
    return {names[which]: [float(side.mean()) for side in pair.shares(which)] for which in names} if pair.common else {}


def _of_result(pair: Pair, run: Run) -> list[Finding]:
    """The invariants of the run that is judged."""
    near_zero = invariants.undefended_near_zero(pair)
    return [
        invariants.same_claims(pair, run),
        invariants.sealed("seal (result)", run),
        invariants.robust_within_clean(run, deterministic=pair.deterministic),
        invariants.unmoved_images(run),
        *([near_zero] if near_zero else []),
    ]
