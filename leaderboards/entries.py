"""One run as a table shows it."""

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
"""Below this number of images, five shards, a row is flagged: the half-width of its interval (Wilson, at 50 %) can exceed 6.15 points."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run.

    Arguments:
        run_id: Its id.
        attack: Name of the attack, and the arguments that differ from its defaults.
        attack_class: One of `leaderboards.classes`.
        n: Number of images.
        draws: Scored draws per image.
        seed: Seed of all draws.
        clean: Clean accuracy.
        robust: Robust accuracy under this attack.
        verdict: An audit's: `believed`, or `passed` where it examined fewer than 32 images, `suspect` or `refuted`; None if there was none, or none that is complete.
        audited: How much an audit examined, as `quick, 32 images`; empty if there was none.
        flags: What a reader should know: `partial`, `small n`, `gradient not exact`, `gradient not measured`, `image by image`,
            `inexact gradient mode`, what the attack warned of, gradients that were not finite, what an audit found.
        passes: Score-model passes per image that the run took, attack and score.
        command: What makes the run.
        audit: What audits it, quickly.
        path: Its folder.
        shares: Of right draws per adversarial image.
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
        """Whether an audit found the number trustworthy; None if there was none, or one of too few images to say so."""
        return believed(self.verdict)


def entry(run: Run) -> Entry:
    """The run's figures, from its lines."""
    spec = run.spec
    return Entry(
        run_id=run.run_id, attack=run.header.labels.attack, attack_class=attack_class(spec), n=len(run),
        draws=spec.draws, seed=spec.seed, clean=mean_share(run.shares(CLEAN)), robust=mean_share(run.shares()),
        verdict=verdict(run), audited=_audited(run), flags=flags(run), passes=float(score_passes(run).mean()),
        command=run_command(run.header, len(run)), audit=_audit(run), path=run.path.as_posix(),
        shares=per_image(run),
    )  # fmt: skip


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
    """Passes through the score model of each image, forward and backward, shape `(n,)`."""
    kinds = [values for kind, values in run.cost.items() if kind.startswith("score_")]
    return sum(kinds) if kinds else run.ids * 0


def verdict(run: Run) -> str | None:
    """An audit's verdict; None if there was no audit, or one that is not complete. Any other word is no good news: `suspect`."""
    said = run.audit.get("verdict")
    if said in (None, UNCHECKED):
        return None
    if said is True or str(said).lower() in _GOOD:
        return PASSED if _sized(run) and is_few(run.audit) else BELIEVED
    return REFUTED if str(said).lower() == REFUTED else SUSPECT


def believed(verdict: str | None) -> bool | None:
    """Whether a verdict is a good one; None for none, and for `passed`, which is of too few images."""
    return None if verdict in (None, PASSED) else verdict == BELIEVED


def row_verdict(verdicts: Sequence[str | None]) -> str | None:
    """That of a row, from its runs', the strongest attack first: bad if one is, else that of the first, which decides the row."""
    bad = [verdict for verdict in verdicts if verdict in (REFUTED, SUSPECT)]
    return min(bad, key=(REFUTED, SUSPECT).index, default=verdicts[0])


def exact(run: Run) -> bool:
    """Whether the defense's gradient, as far as it was measured, is finite and that of its values."""
    return _right(run) and run.header.checks.gradient_finite is not False


def _right(run: Run) -> bool:
    checks = run.header.checks
    error = checks.gradient_error
    return error is None or error <= gradient_bar(checks, EXACT)


def followed(run: Run) -> bool:
    """Whether the attack had gradients that it could follow, on all but a few of its images."""
    return share(run.flags, len(run)) <= ALLOWED


def filled(run: Run) -> set[str]:
    """The required classes that a run fills: none where its gradients could not be followed."""
    return fills(run.spec, exact=exact(run)) if followed(run) else set()


def flags(run: Run) -> list[str]:
    """What a reader should know of the run."""
    checks = run.header.checks
    known = {
        "partial": not run.sealed,
        "small n": len(run) < MANY,
        "gradient not exact": not _right(run),
        "gradient not measured": gradient_open(checks) and run.spec.attack.gradient == "full",
        "image by image": run.spec.batch_size is not None,
        "mixed environments": len(run.header.environments) > 1,
    }
    said = [f"{flag} ({count} images)" for flag, count in run.flags.items()]
    unmet = failed_checks(checks)
    if checks.gradient_finite is False and FINITE not in unmet:  # a record from before the claim
        unmet.append(FINITE)
    failed = [f"{check}: failed" for check in unmet if check not in (IN_DOUBLE, IN_SINGLE)]
    audited = [str(flag) for flag in run.audit.get("flags", [])]
    return [flag for flag, holds in known.items() if holds] + failed + caveats(run.spec) + said + audited
