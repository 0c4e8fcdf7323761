"""One run, as tables show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.audit.strength import PASSED, examined, is_few
from bench.console.steps import audit_line
from bench.figures.aggregate import PerImage, per_image
from bench.figures.runs import CLEAN, Run
from bench.figures.summary import EXACT
from bench.records.claim import IN_DOUBLE, IN_SINGLE, failed_checks, gradient_bar, gradient_open
from bench.records.command import run_command
from bench.records.names import names_of
from bench.registry.trust import file_of
from bench.spoiled import ALLOWED, FINITE, share
from bench.stats.intervals import Interval, mean_share
from leaderboards.classes import attack_class, caveats, fills

BELIEVED, SUSPECT, REFUTED, UNCHECKED = "believed", "suspect", "refuted", "unchecked"
_GOOD = (BELIEVED, "pass", "passed", "yes", "true")
MANY = 250
"""Rows with fewer images are flagged: the half-width of their interval (Wilson, at 50 %) can exceed 6.15 points."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The figures of one run.

    Arguments:
        run_id: Id of the run.
        attack: Name of the attack, and the arguments that differ from its defaults.
        attack_class: One of the classes in `leaderboards.classes`.
        n: Number of images.
        draws: Scored draws per image.
        seed: Seed of all draws.
        clean: Clean accuracy.
        robust: Robust accuracy under this attack.
        verdict: Verdict of the audit: `believed`, `passed` (as believed, but on fewer than 32 images), `suspect` or `refuted`; None
            without a complete audit.
        audited: The extent of the audit, as `quick, 32 images`; empty without an audit.
        flags: Warnings for the reader: `partial`, `small n`, `gradient not exact`, `gradient not measured`, `image by image`,
            `inexact gradient mode`, warnings of the attack, gradients that were not finite, findings of the audit.
        passes: Score-model passes per image in attack and score.
        command: The command that makes the run.
        audit: The command of its quick audit.
        path: Folder of the record.
        shares: The share of right draws of each adversarial image.
    """

    run_id: str
    attack: str
    attack_class: str
    n: int
    draws: int
    seed: int
    clean: Interval
    robust: Interval
    verdict: str | None
    audited: str
    flags: list[str]
    passes: float
    command: str
    audit: str
    path: str
    shares: PerImage = field(compare=False, repr=False)

    @property
    def believed(self) -> bool | None:
        """Whether an audit found the number trustworthy; None without an audit, or with one on too few images."""
        return believed(self.verdict)


def entry(run: Run) -> Entry:
    """Computes the figures of a run from its lines."""
    spec = run.spec
    return Entry(
        run_id=run.run_id,
        attack=run.header.labels.attack,
        attack_class=attack_class(spec),
        n=len(run),
        draws=spec.draws,
        seed=spec.seed,
        clean=mean_share(run.shares(CLEAN)),
        robust=mean_share(run.shares()),
        verdict=verdict(run),
        audited=_audited(run),
        flags=flags(run),
        passes=float(score_passes(run).mean()),
        command=run_command(run.header, len(run)),
        audit=_audit(run),
        path=run.path.as_posix(),
        shares=per_image(run),
    )


def _audited(run: Run) -> str:
    if not (verdict(run) and _sized(run)):
        return ""
    size, images = examined(run.audit)
    return f"{size}, {images} images"


def _sized(run: Run) -> bool:
    return run.audit.keys() >= {"size", "n"}


def _audit(run: Run) -> str:
    code = any(file_of(name) for _, name in names_of(run.header))
    return audit_line(run.run_id, run.results, allow_code=code)


def score_passes(run: Run) -> Any:
    """Score-model passes of each image, forward and backward, shape `(n,)`."""
    kinds = [values for kind, values in run.cost.items() if kind.startswith("score_")]
    return sum(kinds) if kinds else run.ids * 0


def verdict(run: Run) -> str | None:
    """The verdict of the audit; None without a complete audit. An unknown word counts as `suspect`."""
    word = run.audit.get("verdict")
    if word in (None, UNCHECKED):
        return None
    if word is True or str(word).lower() in _GOOD:
        return PASSED if _sized(run) and is_few(run.audit) else BELIEVED
    return REFUTED if str(word).lower() == REFUTED else SUSPECT


def believed(verdict: str | None) -> bool | None:
    """Whether a verdict is `believed`; None without a verdict, and for `passed`, which is about too few images."""
    return None if verdict in (None, PASSED) else verdict == BELIEVED


def row_verdict(verdicts: Sequence[str | None]) -> str | None:
    """The verdict of a row: the worst of its runs if one is bad, else that of the first, its strongest attack."""
    bad = [verdict for verdict in verdicts if verdict in (REFUTED, SUSPECT)]
    return min(bad, key=(REFUTED, SUSPECT).index, default=verdicts[0])


def exact(run: Run) -> bool:
    """Whether the gradient of the defense is finite and correct, as far as it was measured."""
    return _right(run) and run.header.checks.gradient_finite is not False


def _right(run: Run) -> bool:
    checks = run.header.checks
    error = checks.gradient_error
    return error is None or error <= gradient_bar(checks, EXACT)


def followed(run: Run) -> bool:
    """Whether the attack had finite gradients on all but a few of its images."""
    return share(run.flags, len(run)) <= ALLOWED


def filled(run: Run) -> set[str]:
    """The required classes that a run fills; none if the attack lacked finite gradients."""
    return fills(run.spec, exact=exact(run)) if followed(run) else set()


def flags(run: Run) -> list[str]:
    """Warnings about the run for a reader."""
    checks = run.header.checks
    own = {
        "partial": not run.sealed,
        "small n": len(run) < MANY,
        "gradient not exact": not _right(run),
        "gradient not measured": gradient_open(checks) and run.spec.attack.gradient == "full",
        "image by image": run.spec.batch_size is not None,
        "mixed environments": len(run.header.environments) > 1,
    }
    remarks = [f"{flag} ({count} images)" for flag, count in run.flags.items()]
    unmet = failed_checks(checks)
    if checks.gradient_finite is False and FINITE not in unmet:  # a record from before the claim
        unmet.append(FINITE)
    failed = [f"{check}: failed" for check in unmet if check not in (IN_DOUBLE, IN_SINGLE)]
    audited = [str(flag) for flag in run.audit.get("flags", [])]
    keyed = [f"draws keyed: {run.spec.keyed}"] if run.spec.keyed else []
    return [flag for flag, holds in own.items() if holds] + keyed + failed + caveats(run.spec) + remarks + audited
