"""The defense knows no label that is not in the pixels.

- A grey image holds no information: with `s` of `n` grey images, each under an audited image's id, classified as that
  image, `P(Bin(n, share of the most frequent class) >= s)` must not be below .01.
- Invisible noise of 1/1000 must not cost clean accuracy: images that are right without it and wrong with it are violations.
  A table of hashes of the test images would know the clean images only.

References:
    On Evaluating Adversarial Robustness (Carlini et al., 2019)
    https://arxiv.org/abs/1902.06705
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.audit.bar import LEVEL, WORDS, Order, exceeds, order
from bench.audit.finding import PASS, REFUTED, Finding
from bench.audit.ordered import count_unbroken
from bench.audit.price import Load
from bench.audit.subject import Subject
from bench.gradient import GradientMode
from bench.pace import Work
from bench.text.brackets import bracketed

INVISIBLE = 1e-3


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    return ""


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [Load(subject.n, Work(evaluations=2 * subject.run.spec.draws))]


def check(subject: Subject) -> Finding:
    """Classifies grey images, and clean ones under invisible noise."""
    view, x, y, noise = subject.look(GradientMode.NONE)
    draws = noise.of("score").spread(subject.run.spec.draws)
    tremor = (x + INVISIBLE * (2 * noise.of("check").uniform(x, step=3) - 1)).clamp(0, 1)
    grey, shaken = (
        (subject.worker.margins(view, image, y, draws) > 0).double().mean(dim=1).cpu().numpy()
        for image in (torch.full_like(x, 0.5), tremor)
    )
    right, chance = count_unbroken(grey), subject.chance
    p, shaky = exceeds(right, subject.n, chance), order(subject.clean, shaken)
    leaks = (["a grey image is classified above chance"] if p < LEVEL else []) + (
        ["noise of 1/1000 costs clean accuracy"] if shaky.broken else []
    )
    return Finding(
        verdict=REFUTED if leaks else PASS,
        values={"grey": {"right": right, "chance": chance, "p": p}, "invisible noise": shaky.as_dict()},
        threshold=f"grey above chance with p < .01; {WORDS}",
        meaning=_meaning(leaks, right, subject.n, shaky),
    )


def _meaning(leaks: Sequence[str], right: int, n: int, shaky: Order) -> str:
    if leaks:
        return f"The defense recognises test images ({' and '.join(leaks)}): it knows labels that are not in the pixels; do not use the number."
    cost = (
        f"invisible noise costs no more than chance (points of clean accuracy: {bracketed(shaky.gain, signed=True)})"
        if shaky.violations or shaky.gain.value > 0
        else "invisible noise costs nothing"
    )
    return f"{right} of {n} grey images are classified as theirs, no more than chance allows, and {cost}."
