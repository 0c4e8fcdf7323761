"""One run as a table shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.aggregate import PerImage, per_image
from bench.command import run_command
from bench.runs import CLEAN, Run
from bench.stats import Interval, mean_share
from bench.summary import EXACT
from leaderboards.classes import attack_class, caveats

MANY = 256
"""Below this number of images a row is flagged: its half-width exceeds 6 points."""


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
        believed: Whether an audit found the number trustworthy; None if there was none.
        flags: What a reader should know: `partial`, `small n`, `gradient not exact`, `inexact gradient mode`,
            what the attack warned of, what an audit found.
        passes: Score-model passes per image that the run took, attack and score.
        command: What makes the run.
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
    believed: bool | None
    flags: list[str]
    passes: float
    command: str
    path: str
    shares: PerImage = field(compare=False, repr=False)


def entry(run: Run) -> Entry:
    """The run's figures, from its lines."""
    spec = run.spec
    return Entry(
        run_id=run.run_id, attack=run.header["labels"]["attack"], attack_class=attack_class(spec), n=len(run),
        draws=spec["draws"], seed=spec["seed"], clean=mean_share(run.shares(CLEAN)), robust=mean_share(run.shares()),
        believed=believed(run), flags=flags(run), passes=float(score_passes(run).mean()),
        command=run_command(run.header, len(run)), path=run.path.as_posix(),
        shares=per_image(run),
    )  # fmt: skip


def score_passes(run: Run) -> Any:
    """Passes through the score model of each image, forward and backward, shape `(n,)`."""
    kinds = [values for kind, values in run.cost.items() if kind.startswith("score_")]
    return sum(kinds) if kinds else run.ids * 0


def believed(run: Run) -> bool | None:
    """An audit's verdict; None if there was no audit."""
    verdict = run.audit.get("verdict")
    if isinstance(verdict, bool) or verdict in (None, "unchecked"):
        return verdict if isinstance(verdict, bool) else None
    return str(verdict).lower() in ("believed", "pass", "passed", "yes", "true")


def flags(run: Run) -> list[str]:
    """What a reader should know of the run."""
    checks = run.header["checks"]
    error: Any = checks.get("gradient_error")
    known = {
        "partial": not run.sealed,
        "small n": len(run) < MANY,
        "gradient not exact": error is not None and error > EXACT,
        "mixed environments": len(run.header["environments"]) > 1,
    }
    said = [f"{flag} ({count} images)" for flag, count in run.flags.items()]
    audited = [str(flag) for flag in run.audit.get("flags", [])]
    return [flag for flag, holds in known.items() if holds] + caveats(run.spec) + said + audited
