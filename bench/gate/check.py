"""The gate as a whole: compares results with a baseline and gives a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.compare.changes import changes
from bench.compare.findings import Change, Finding, Report, RowReport
from bench.compare.pairs import Pair, pair_up
from bench.errors import UserError
from bench.figures.runs import CLEAN, ROBUST, Run, read_runs
from bench.gate import invariants
from bench.gate.tiers import exact, is_exact, power_text, statistical


@dataclass(frozen=True, kw_only=True)
class Bars:
    """The strictness of the gate.

    Arguments:
        alpha: Two-sided level of the statistical tier, after Holm; in (0, 1).
        margin: Smallest change that fails the gate, in percentage points, in [0, 100).
    """

    alpha: float = 0.01
    margin: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise UserError("gate-alpha", alpha=self.alpha)
        if not 0 <= self.margin < 100:
            raise UserError("gate-margin", margin=self.margin)


def read_baseline(baseline: Path) -> list[Run]:
    """The runs of a baseline.

    Raises:
        UserError: There are none.
    """
    runs = list(read_runs(baseline))
    if not runs:
        raise UserError("gate-baseline-empty", baseline=baseline)
    return runs


def check(
    before: Sequence[Run],
    after: Sequence[Run],
    bars: Bars,
    stored: Callable[[Run, str], list[Finding]],
    other_code: Callable[[Run], list[str]],
) -> Report:
    """Compares runs with their baseline.

    Arguments:
        before: The baseline's runs.
        after: The runs to judge.
        bars: The strictness.
        stored: Gives the findings on the stored images of a run, `baseline` or `result`.
        other_code: Gives the parts of a run whose code changed, as phrases.
    """
    pairs = pair_up(before, after)
    made = changes([pair if not is_exact(pair) else Pair(pair.before, None, []) for pair in pairs])
    tests = sum(map(len, made))
    rows = [
        _row(pair, found, bars, tests, stored, other_code(pair.after) if pair.after else [])
        for pair, found in zip(pairs, made, strict=True)
    ]
    return Report(rows=rows, together=invariants.worst_cases([pair.after for pair in pairs if pair.after is not None]))


def _row(
    pair: Pair,
    found: Sequence[Change],
    bars: Bars,
    tests: int,
    stored: Callable[[Run, str], list[Finding]],
    other: list[str],
) -> RowReport:
    """The report on one row; `tests` counts the comparisons of all rows, `other` names the parts with changed code."""
    findings = [invariants.spec_unchanged(pair), invariants.all_images(pair)]
    findings += [invariants.code(other)] if other else []
    findings.append(invariants.sealed("seal (baseline)", pair.before))
    tier, power = "missing", ""
    if pair.after is not None and pair.common:
        tier = "exact" if is_exact(pair) else "statistical"
        tiered, power = _tier(pair, found, bars, tests)
        findings += [*_of_result(pair, pair.after), tiered]
        findings += [*stored(pair.before, "baseline"), *stored(pair.after, "result")]
    return RowReport(
        name=pair.name,
        run_id=pair.before.run_id,
        result_id=pair.after.run_id if pair.after else None,
        tier=tier,
        n=len(pair.common),
        findings=findings,
        changes=changes([pair])[0] if tier == "exact" else list(found),
        power=power,
        accuracy=_accuracy(pair),
        other_code=other,
    )


def _tier(pair: Pair, found: Sequence[Change], bars: Bars, tests: int) -> tuple[Finding, str]:
    """The finding of the row's tier, and the power of the statistical one."""
    if is_exact(pair):
        return exact(pair), ""
    margin = bars.margin / 100
    power = power_text(len(pair.common), tests, alpha=bars.alpha, margin=margin)
    return statistical(pair, found, alpha=bars.alpha, margin=margin), power


def _accuracy(pair: Pair) -> dict[str, list[float]]:
    names = {CLEAN: "clean", ROBUST: "robust"}
    return {names[which]: [float(side.mean()) for side in pair.shares(which)] for which in names} if pair.common else {}


def _of_result(pair: Pair, run: Run) -> list[Finding]:
    """The invariants of the run that is judged."""
    near_zero = invariants.undefended_near_zero(pair, run)
    return [
        invariants.same_claims(pair, run),
        invariants.sealed("seal (result)", run),
        invariants.robust_within_clean(run, deterministic=pair.deterministic),
        invariants.unmoved_images(run),
        *([near_zero] if near_zero else []),
    ]
