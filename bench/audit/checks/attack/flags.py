"""The warnings of AutoAttack, as data.

- `randomized`: a second call under the same draw gives other logits (largest difference over largest logit above 1e-4).
- `softmax`: logits are not negative and sum to 1.
- `zero gradient`: share of images with a cross-entropy gradient of exactly 0 (judged by the check `indicators`).
- `classes`: the number of logits, and of classes of the data set.
- `not finite`: share of the run's images on which the attack met a gradient or an image that was not finite. Above 1 %, or
  after a failed check `finite gradients` before the run, the number is suspect: the attack was weak there.

References:
    Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks (Croce, Hein, 2020)
    https://arxiv.org/abs/2003.01690
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.audit.finding import PASS, SUSPECT, Finding
from bench.audit.price import Load
from bench.audit.subject import Subject
from bench.losses import cross_entropy
from bench.pace import Work
from bench.spoiled import ALLOWED, share

RANDOMIZED, SUMS_TO_ONE, IMAGES = 1e-4, 1e-3, 16
WEAK = "Gradients of this defense are not always finite, and the attack was weak on those images: make them finite and run again."


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    return ""


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [Load(min(subject.n, IMAGES), Work(evaluations=1, gradients=1), subject.mode)]


def check(subject: Subject) -> Finding:
    """Looks at logits and gradients of a few images."""
    view, x, y, noise = subject.look(subject.mode, min(subject.n, IMAGES))
    noise = noise.of("score")
    logits, _, gradient = view.differentiate(x, y, noise, cross_entropy)
    again = view(x, noise).detach()
    values: dict[str, Any] = {
        "randomized": float((logits - again).abs().max() / logits.abs().max().clamp_min(1e-12)),
        "softmax": bool((logits >= 0).all() and ((logits.sum(dim=1) - 1).abs() < SUMS_TO_ONE).all()),
        "zero gradient": float((gradient.flatten(1) == 0).all(dim=1).double().mean()),
        "classes": [logits.shape[1], len(subject.planned.dataset.classes)],
        "of the run's attack": dict(subject.run.flags),
    }
    lost = subject.run.header.checks.gradient_finite is False
    values["not finite"] = share(subject.run.flags, len(subject.run))
    raised = (["it is randomized where it should not be"] if values["randomized"] > RANDOMIZED else []) + (
        ["its logits are probabilities"] if values["softmax"] else []
    )
    weak = values["not finite"] > ALLOWED or lost
    return Finding(
        verdict=SUSPECT if raised or weak else PASS,
        values=values,
        threshold=f"randomized {RANDOMIZED:g}; no softmax; not finite {ALLOWED:g}",
        meaning=WEAK if weak else _meaning(raised, values["zero gradient"], values["of the run's attack"]),
        command=subject.command(subject.attacks.scores),
    )


def _meaning(raised: Sequence[str], zero: float, warned: Mapping[str, int]) -> str:
    if raised:
        return f"AutoAttack would warn of this defense: {' and '.join(raised)}; correct that first."
    if zero:
        return f"AutoAttack would warn of gradients of zero, on {100 * zero:.0f} % of these images: see the check `indicators`."
    if warned:
        return f"AutoAttack would not warn of these images; the run's own attack warned: {', '.join(warned)}."
    return "AutoAttack would not warn."
