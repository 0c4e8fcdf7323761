"""Other attacks on the audited images, and the engine that runs them."""

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
        """The arguments of these names, as words of a command."""
        return [
            word for key, value in self.args.items() if key in named for word in ("-A", f"{key}={argument_text(value)}")
        ]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The attacks that suit a run.

    Arguments:
        full: Whether the audit is a full one, whose attacks keep their default length.
        deterministic: Whether the defense claims to be deterministic.
        differentiable: Whether the defense has a derivative of its own.
        knows: Whether the run's attacker knows the scored draws.
        norm: The norm of the threat model.
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
        """The identity in place of the purifier's derivative."""
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
        """Scores alone, at full length: it settles whether a gradient is masked."""
        return Rival("random", {"tries": 1000}) if self.norm == "l1" else Rival("square", {})

    @property
    def reference(self) -> Rival:
        """Plain PGD with the right gradient and the knowledge of the run's attacker."""
        if not self.differentiable:
            return self.bpda
        if self.deterministic:
            return Rival("pgd-full", {} if self.full else {"steps": 10})
        return self.known if self.knows else self.eot

    @property
    def short(self) -> Rival:
        """The reference attack, shorter in a quick audit, to compare several balls."""
        shortened = {} if self.full or not self.deterministic else BRIEF
        return replace(self.reference, args={**self.reference.args, **shortened})


class Trusting(Local):
    """One worker for other attacks on the defense of a finished run, whose claims were checked before that run."""

    def __init__(self, checks: dict[str, Any]) -> None:
        super().__init__()
        self.checks = checks

    def claims(self, plan: Plan, options: Options) -> dict[str, Any]:
        """The recorded checks of the finished run."""
        return self.checks
