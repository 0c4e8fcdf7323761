"""The full gradient is at least as strong as BPDA, and BPDA as the blind attack, image by image.

Each of the three sees more than the next: the exact derivative of the deployed defense; its forward pass, with the identity
backward; the classifier alone. An image that the attack with less breaks, and the one with more does not, is a violation.

References:
    Evaluating the Adversarial Robustness of Adaptive Test-time Defenses (Croce et al., 2022)
    https://arxiv.org/abs/2202.13711
    Obfuscated Gradients Give a False Sense of Security (Athalye, Carlini, Wagner, 2018)
    https://arxiv.org/abs/1802.00420
"""

from __future__ import annotations

from bench.audit.bar import order
from bench.audit.finding import REFUTED, SUSPECT, Finding
from bench.audit.ordered import judge
from bench.audit.price import Load
from bench.audit.rival import Rival
from bench.audit.subject import Subject
from bench.gradient import GradientMode


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    if subject.undefended:
        return "there is no purifier whose gradient could be wrong"
    if subject.planned.gradient not in (GradientMode.FULL, GradientMode.BPDA):
        return "the run's attack does not differentiate the purifier"
    return ""


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [subject.load(rival) for rival in (subject.attacks.blind, *_bpda(subject).values())]


def check(subject: Subject) -> Finding:
    """Compares the run with BPDA and with the blind attack."""
    blind = subject.rival(subject.attacks.blind)
    bpda = {name: subject.rival(rival) for name, rival in _bpda(subject).items()}
    orders = {name: order(subject.shares, shares) for name, shares in bpda.items()}
    commands = {name: subject.command(rival) for name, rival in _bpda(subject).items()}
    weaker = "blind above BPDA"
    orders[weaker] = order(bpda["BPDA above full"] if bpda else subject.shares, blind)
    return judge(
        orders,
        commands | {weaker: subject.command(subject.attacks.blind)},
        verdicts={"BPDA above full": REFUTED, weaker: SUSPECT if bpda else REFUTED},
        broken="An attack with a poorer gradient broke more images ({names}): the better gradient is masked or wrong; check the purifier's derivative "
        "and rank by the worse of both.",
        good="A better gradient breaks at least as many images.",
    )


def _bpda(subject: Subject) -> dict[str, Rival]:
    return {"BPDA above full": subject.attacks.bpda} if subject.planned.gradient is GradientMode.FULL else {}
