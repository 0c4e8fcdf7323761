"""One cheap check of a run, as the record holds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bench.records.header import Checks

PASSED, FAILED, OPEN = "passed", "failed", "not measured"
IN_DOUBLE, IN_SINGLE = "gradient", "gradient, float32"
"""Names of the check of the gradient, in double precision and where that is impossible."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The result of one check.

    Arguments:
        check: Its name.
        value: What was measured, as JSON; None if it was not.
        threshold: What it was compared with, as JSON.
        verdict: `passed`, `failed` or `not measured`.
        meaning: What a failure means and what to do, in one sentence.
    """

    check: str
    value: Any
    threshold: Any
    verdict: str
    meaning: str

    def as_dict(self) -> dict[str, Any]:
        """The claim as a record holds it."""
        return asdict(self)


def judged(check: str, value: Any, threshold: Any, passed: bool | None, meaning: str) -> Claim:
    """A claim; `passed` is None for what could not be measured."""
    verdict = {True: PASSED, False: FAILED, None: OPEN}[passed]
    return Claim(check=check, value=value, threshold=threshold, verdict=verdict, meaning=meaning)


def failed_checks(checks: Checks) -> list[str]:
    """Names of the claims of a header, or of a summary, that failed."""
    return [claim.check for claim in checks.claims if claim.verdict == FAILED]


def gradient_bar(checks: Checks, usual: float) -> float:
    """What a record's `gradient_error` was held against: that of the precision in which it was measured.

    Arguments:
        checks: Of a header or a summary.
        usual: The bar in double precision, which alone records of before had.
    """
    bars = [claim.threshold for claim in checks.claims if claim.check == IN_SINGLE]
    return next((bar for bar in bars if isinstance(bar, float)), usual)


def gradient_open(checks: Checks) -> bool:
    """Whether a defense has a derivative whose exactness could not be measured; records that never say so are not meant."""
    return checks.differentiable and "gradient_error" in checks.model_fields_set and checks.gradient_error is None
