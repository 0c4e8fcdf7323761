"""Success grows with eps, and no image survives in a ball that contains the grey image.

The run is compared with the same kind of attack at half and at twice the radius: every image of the smaller ball is in the
larger one. In a ball of radius 1/2 (l-infinity; `sqrt(d)/2` in l2, `d/2` in l1) every image can be turned grey, so that no
classifier is above chance: with `s` of `n` images unbroken, `P(Bin(n, share of the most frequent class) >= s)` must not be
below .01.

References:
    On Evaluating Adversarial Robustness (Carlini et al., 2019)
    https://arxiv.org/abs/1902.06705
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from bench.audit.bar import LEVEL, WORDS, exceeds, order
from bench.audit.finding import PASS, REFUTED, SUSPECT, Finding
from bench.audit.ordered import count_unbroken, judge
from bench.audit.price import Load
from bench.audit.rival import Rival
from bench.audit.subject import Subject
from bench.threat import NORMS, ThreatModel

SMALLER, LARGER, GREY = "half of eps above eps", "eps above twice eps", "grey"


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    return "" if subject.attacked else "the run's attack changes no image"


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [subject.load(rival) for rival in _rivals(subject).values()]


def check(subject: Subject) -> Finding:
    """Compares three radii, and attacks in the unbounded ball."""
    rivals = _rivals(subject)
    shares = {name: subject.rival(rival) for name, rival in rivals.items()}
    orders = {SMALLER: order(subject.shares, shares[SMALLER]), LARGER: order(shares[LARGER], subject.shares)}
    left = count_unbroken(shares[GREY])
    chance = subject.chance
    p = exceeds(left, subject.n, chance)
    found = judge(
        orders,
        {name: subject.command(rival) for name, rival in rivals.items()},
        verdicts={SMALLER: REFUTED, LARGER: SUSPECT},
        broken="A smaller ball gave more adversarial images than a larger one that contains it ({names}): the defense knows the distance, or its gradient is masked.",
        good=f"Success does not fall as eps grows{_left(left, p, holds=_holds_grey(subject))}.",
        values={GREY: {"threat": str(rivals[GREY].threat), "standing": left, "chance": chance, "p": p}},
        beside=f"{left} of {subject.n} images are unbroken in {rivals[GREY].threat}",
    )
    found = replace(found, threshold=f"{WORDS}; unbroken in the unbounded ball above chance with p < .01")
    if found.verdict != PASS or p >= LEVEL or not _holds_grey(subject):
        return found
    return replace(
        found,
        verdict=SUSPECT,
        command=subject.command(rivals[GREY]),
        meaning=f"{left} of {subject.n} images are unbroken in a ball in which each can be turned grey: the attack fails, so its unbroken images prove nothing; "
        "the gradient is masked, or labels leak.",
    )


def _left(left: int, p: float, *, holds: bool) -> str:
    """The conclusion from the images that are unbroken in the unbounded ball; empty if they are evidence against the number."""
    if not holds:
        return "; no ball of this norm in which every image can be turned grey was tried"
    if not left:
        return ", and no image survives where every image can be turned grey"
    return ", and no more survive than chance allows where every image can be turned grey" if p >= LEVEL else ""


def _rivals(subject: Subject) -> dict[str, Rival]:
    threat = subject.planned.threat
    balls = {SMALLER: _scaled(threat, Fraction(1, 2)), LARGER: _scaled(threat, Fraction(2)), GREY: _unbounded(subject)}
    return {name: replace(subject.attacks.short, threat=ball) for name, ball in balls.items()}


def _scaled(threat: ThreatModel, factor: Fraction) -> ThreatModel:
    return ThreatModel(threat.norm, min(threat.eps * factor, Fraction(NORMS[threat.norm])))


def _grey_radius(subject: Subject) -> Fraction:
    """The radius of a ball around any image that contains the grey image."""
    pixels = math.prod(subject.planned.dataset.images.shape[1:])
    sizes = {"linf": Fraction(1, 2), "l2": Fraction(math.ceil(math.sqrt(pixels)), 2), "l1": Fraction(pixels, 2)}
    return sizes[subject.planned.threat.norm]


def _holds_grey(subject: Subject) -> bool:
    """Whether a threat model can be that large."""
    return _grey_radius(subject) <= NORMS[subject.planned.threat.norm]


def _unbounded(subject: Subject) -> ThreatModel:
    norm = subject.planned.threat.norm
    return ThreatModel(norm, min(_grey_radius(subject), Fraction(NORMS[norm])))
