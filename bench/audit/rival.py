"""Another attack on the audited images, and how its record is made."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.plan.plan import Plan
from bench.records.command import argument_text
from bench.run.local import Local
from bench.run.options import Options
from bench.threat import ThreatModel

BRIEF: Mapping[str, Any] = {"steps": 10, "losses": ("cw",)}
"""Arguments of PGD in a quick audit, a quarter of the default's gradients."""
FEW = 5
"""Fresh draws in each gradient of a quick audit."""


@dataclass(frozen=True)
class Rival:
    """Another attack on the audited images.

    Arguments:
        attack: Name of the preset.
        args: Its arguments.
        threat: Its ball; None for the run's own.
    """

    attack: str
    args: Mapping[str, Any]
    threat: ThreatModel | None = None

    def words(self, named: Container[str]) -> list[str]:
        """Its arguments of these names, on the command line."""
        return [
            word for key, value in self.args.items() if key in named for word in ("-A", f"{key}={argument_text(value)}")
        ]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The attacks that suit a run.

    Arguments:
        full: Whether they are at full length.
        deterministic: The defense's claim.
        differentiable: Whether it has a derivative of its own.
        knows: Whether the run's attacker knows the scored draws.
        norm: Of the ball.
    """

    full: bool
    deterministic: bool
    differentiable: bool
    knows: bool
    norm: str

    @property
    def blind(self) -> Rival:
        """Transfer from the classifier alone."""
        return Rival("pgd-blind", {})

    @property
    def bpda(self) -> Rival:
        """The identity for the purifier's derivative."""
        return Rival("pgd-bpda", {} if self.deterministic or self.full else {**BRIEF, "eot": FEW})

    @property
    def eot(self) -> Rival:
        """The exact gradient averaged over fresh draws."""
        return Rival("pgd-eot", {} if self.full else {**BRIEF, "eot": FEW})

    @property
    def known(self) -> Rival:
        """The exact gradient of the scored draws."""
        return Rival("pgd-known", {} if self.full else BRIEF)

    @property
    def scores(self) -> Rival:
        """Scores alone, in full: what settles whether a gradient is masked."""
        return Rival("random", {"tries": 1000}) if self.norm == "l1" else Rival("square", {})

    @property
    def reference(self) -> Rival:
        """Plain PGD with the right gradient, which knows what the run's attacker knows."""
        if not self.differentiable:
            return self.bpda
        if self.deterministic:
            return Rival("pgd-full", {} if self.full else {"steps": 10})
        return self.known if self.knows else self.eot

    @property
    def short(self) -> Rival:
        """The same, short in a quick audit, for comparisons of several balls."""
        shortened = {} if self.full or not self.deterministic else BRIEF
        return replace(self.reference, args={**self.reference.args, **shortened})


class Trusting(Local):
    """One worker for other attacks on a defense whose claims were verified when the audited run was made."""

    def __init__(self, checks: dict[str, Any]) -> None:
        super().__init__()
        self.checks = checks

    def claims(self, plan: Plan, options: Options) -> dict[str, Any]:
        """What was verified then."""
        return self.checks
