"""Twice the steps, more restarts or a longer step add nothing to the run's own attack.

An attack that has converged gains nothing from more effort. Each variant changes one argument of the run's attack, and raises
by the same factor a budget that would limit it. The longer step, in a full audit only, is twice the given step size; if the
attack chooses its own, it is twice the radius, which is twice the first step of `pgd`. The gain is the share of right draws
that a variant takes away, with its 95 % interval.

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
from bench.audit.rival import Rival
from bench.audit.subject import Subject

QUICK_RESTARTS, RESTARTS = 2, 10


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    return "" if _rivals(subject) else "the run's attack has no steps, restarts or queries to raise"


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [subject.load(rival) for rival in _rivals(subject).values()]


def check(subject: Subject) -> Finding:
    """Compares the run with more of the same attack."""
    return against_run(
        subject,
        _rivals(subject),
        broken="The attack has not converged: more images fell to {names}; raise it and report the lower number.",
        good="More effort of the same attack adds nothing that these images can show.",
    )


def _rivals(subject: Subject) -> dict[str, Rival]:
    args, name = dict(subject.args), subject.run.spec.attack.name
    restarts = RESTARTS if subject.full else QUICK_RESTARTS
    changes = {}
    for word in ("steps", "queries"):
        if isinstance(args.get(word), int):
            changes[f"twice the {word}"] = _times(2, word, args)
    if isinstance(args.get("restarts"), int):
        changes[f"{restarts} times the restarts"] = _times(restarts, "restarts", args)
    if "step_size" in args and subject.full:
        given = args["step_size"]
        words = "twice the step size" if given else "a step size of twice the radius"
        changes[words] = {"step_size": 2 * (given or subject.planned.threat.radius)}
    return {words: Rival(name, args | change) for words, change in changes.items()}


def _times(factor: int, word: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """An argument times a factor, and likewise the budget, if there is one, which would limit it."""
    words = (word, "budget") if args.get("budget") else (word,)
    return {word: factor * args[word] for word in words}
