"""Known randomness is not weaker than averaging over fresh draws (EOT).

An attacker who knows the scored draws can only do better. An image that EOT breaks and the joint attack on the scored draws
does not is a violation: the gradient of a single draw is wrong, or the defense draws again inside.

References:
    On Evaluating Adversarial Robustness (Carlini et al., 2019)
    https://arxiv.org/abs/1902.06705
    Towards Understanding the Robustness of Diffusion-Based Purification: A Stochastic Perspective (Liu et al., 2024)
    https://arxiv.org/abs/2404.14309
"""

from __future__ import annotations

from bench.audit.bar import order
from bench.audit.finding import REFUTED, SUSPECT, Finding
from bench.audit.ordered import judge
from bench.audit.price import Load
from bench.audit.rival import Rival
from bench.audit.subject import Subject


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    if subject.deterministic:
        return "the defense is deterministic"
    return "" if subject.differentiable else "the defense has no gradient of its own"


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [subject.load(_other(subject))]


def check(subject: Subject) -> Finding:
    """Compares the run with an attack that knows more, or less, about the draws."""
    other = _other(subject)
    shares = subject.rival(other)
    name = "EOT above known draws"
    pair = (subject.shares, shares) if subject.knows else (shares, subject.shares)
    return judge(
        {name: order(*pair)},
        {name: subject.command(other)},
        verdicts={name: REFUTED if subject.knows else SUSPECT},
        broken="An attacker who knows less broke more images ({names}): the gradient under known draws is wrong; look for randomness that is not drawn from `noise`.",
        good="Knowing the draws costs the attacker nothing.",
    )


def _other(subject: Subject) -> Rival:
    return subject.attacks.eot if subject.knows else subject.attacks.known
