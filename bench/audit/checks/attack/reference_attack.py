"""The run's attack is at least as strong as plain PGD with the right gradient.

The right gradient is the exact one where the defense has one, BPDA where it has none, an average over fresh draws (EOT) or
the scored draws themselves where it is stochastic. Plain PGD takes 20 steps (10 in a quick audit) on the margin and on
cross-entropy. An image that it breaks and the run's attack did not is a violation: iterated attacks beat single steps. A run
of the same PGD, or of one with only more steps, restarts, draws or losses, needs no comparison.

References:
    On Evaluating Adversarial Robustness (Carlini et al., 2019)
    https://arxiv.org/abs/1902.06705
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.audit.finding import Finding
from bench.audit.ordered import against_run
from bench.audit.price import Load
from bench.audit.subject import Subject

RAISED = ("steps", "restarts", "eot")
"""Arguments of PGD that make it stronger."""


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    reference = subject.attacks.reference
    if subject.run.spec.attack.name != reference.attack:
        return ""
    covers = _covers(subject.args, subject.plan(reference).spec.attack.args)
    return "the run's attack already is plain PGD with the right gradient, as long or longer" if covers else ""


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [subject.load(subject.attacks.reference)]


def check(subject: Subject) -> Finding:
    """Compares the run with plain PGD."""
    return against_run(
        subject,
        {subject.attacks.reference.attack: subject.attacks.reference},
        broken="Images that the run's attack left unbroken fell to {names}: the attack is too weak for a number; report the lower one.",
        good="The run's attack breaks all that plain PGD with the right gradient breaks.",
    )


def _covers(own: Mapping[str, Any], least: Mapping[str, Any]) -> bool:
    """Whether PGD with its own arguments is the least one, or only stronger."""
    others = {*own, *least}.difference(RAISED, ["losses"])
    return (
        all(own[word] >= least[word] for word in RAISED)
        and set(own["losses"]) >= set(least["losses"])
        and all(own.get(word) == least.get(word) for word in others)
    )
