"""Random noise does not beat gradients.

The worst of 50 (quick) or 200 uniform draws from the ball breaks no image that the run's attack did not break. Noise needs no
gradient, so if it breaks more, the gradient is masked.

References:
    On Evaluating Adversarial Robustness (Carlini et al., 2019)
    https://arxiv.org/abs/1902.06705
"""

from __future__ import annotations

from bench.audit.finding import Finding
from bench.audit.ordered import against_run
from bench.audit.price import Load
from bench.audit.rival import Rival
from bench.audit.subject import Subject

QUICK_TRIES, TRIES = 50, 200


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    return "" if subject.attacked else "the run's attack changes no image, or is random itself"


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [subject.load(_rival(subject))]


def check(subject: Subject) -> Finding:
    """Compares the run with the worst of many noise draws."""
    return against_run(
        subject,
        {"random noise": _rival(subject)},
        broken="Images that the run's attack left unbroken fell to {names}: the gradient is masked or the attack is broken; look at the gradient first.",
        good="Noise in the ball breaks no image that the attack did not break.",
    )


def _rival(subject: Subject) -> Rival:
    return Rival("random", {"tries": TRIES if subject.full else QUICK_TRIES})
