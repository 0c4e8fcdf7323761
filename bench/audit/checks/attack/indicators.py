"""The six indicators of attack failure, measured on a gradient ascent of the negative margin.

Over the images that are right without an attack, with margin `m_t` at step `t` of a projected ascent from the image:

- I1, no gradient: the norm is 0 or not finite at some step. On more than 2 % of the images, p < .01.
- I2, unstable loss: mean over uniform perturbations of 4/255 of `|m(x + u) - m(x)| / |m(x)|` above .1. On more than half.
- I3, silent success: an iterate was misclassified, but the run's adversarial image is right. On more than 2 %.
- I4, incomplete: the running minimum of `m_t`, rescaled to [0, 1], still moves by more than .05 in the last 10 steps. On more
  than half of the unbroken images.
- I5, transfer failure: the run's image fools the attacked model but not the scored one. On more than 2 %.
- I6, no success without a bound: an ascent through all of [0, 1] breaks nothing. On more than 2 %.

Each share is compared with its limit by an exact binomial test at p < .01, since single images raise an indicator by chance.

References:
    Indicators of Attack Failure: Debugging and Improving Optimization of Adversarial Examples (Pintor et al., 2022)
    https://arxiv.org/abs/2106.09947
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from bench.audit.bar import ALLOWED, LEVEL, exceeds
from bench.audit.finding import PASS, SUSPECT, Finding, skipped
from bench.audit.price import Load
from bench.audit.subject import Subject
from bench.audit.trace import Trace, ascend
from bench.gradient import GradientMode
from bench.margin import margin
from bench.pace import Work
from bench.threat import ThreatModel

LAST, MOVES, CHANGE, AROUND, HALF = 10, 0.05, 0.1, 4 / 255, 0.5
UNBOUNDED_STEPS, UNBOUNDED_STEP = 20, 0.2
WORDS = {
    "I1": "the gradient is zero or not finite",
    "I2": "the loss jumps under small noise",
    "I3": "the ascent broke images that the run did not break",
    "I4": "the loss still falls when the ascent ends",
    "I5": "images that fool the attacked model do not fool the scored one",
    "I6": "an ascent without a bound fails",
}


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    return ""


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    images, steps, around = _sizes(subject)
    return [Load(images, Work(evaluations=around, gradients=steps + UNBOUNDED_STEPS + 2), subject.mode)]


def check(subject: Subject) -> Finding:
    """Traces an ascent in the ball and one in all of [0, 1]."""
    images, steps, around = _sizes(subject)
    view, x, y, noise = subject.look(subject.mode, images)
    noise = noise.of("score")
    right = (subject.worker.margins(view, x, y, noise)[:, 0] > 0).nonzero()[:, 0]
    if not len(right):
        return skipped("no image is right without an attack")
    x, y, noise = x[right], y[right], noise[right]
    trace = ascend(view, x, y, noise, subject.planned.threat, steps=steps)
    free = ascend(view, x, y, noise, ThreatModel("linf", Fraction(1)), steps=UNBOUNDED_STEPS, first=UNBOUNDED_STEP)
    counts = {
        "I1": (int(_gone(trace).sum()), len(right), ALLOWED),
        "I2": (int((_changes(subject, x, y, noise, around) > CHANGE).sum()), len(right), HALF),
        "I3": _silent(subject, trace, right),
        "I4": (int(_unfinished(trace).sum()), int((~trace.broken).sum()), HALF),
        "I5": _transfer_failures(subject),
        "I6": (int((~free.broken).sum()), len(right), ALLOWED),
    }
    found = _judge({name: part for name, part in counts.items() if part is not None}, trace)
    return replace(found, command=subject.command(subject.attacks.scores))


def _judge(counts: dict[str, tuple[int, int, float]], trace: Trace) -> Finding:
    values: dict[str, Any] = {}
    for name, (count, n, bar) in counts.items():
        p = exceeds(count, n, bar) if n else 1.0
        values[name] = {"images": count, "of": n, "p": p, "raised": bool(n and count > bar * n and p < LEVEL)}
    raised = [name for name, value in values.items() if value["raised"]]
    values["margin by step"] = trace.margins.mean(dim=1).tolist()
    return Finding(
        verdict=SUSPECT if raised else PASS,
        values=values,
        threshold="I1, I3, I5, I6 on more than 2 % of the images, I2 and I4 on more than half, each with p < .01",
        meaning=_meaning({name: (count, n) for name, (count, n, _) in counts.items()}, raised),
    )


def _meaning(counts: Mapping[str, tuple[int, int]], raised: Sequence[str]) -> str:
    if raised:
        return f"The attack fails for reasons of its own: {'; '.join(WORDS[name] for name in raised)} ({', '.join(raised)}); correct the attack or its gradient."
    seen = [f"{name} on {count} of {n}" for name, (count, n) in counts.items() if count]
    if seen:
        return f"No indicator of a failing attack is raised beyond its limit and chance ({', '.join(seen)} images)."
    return "An ascent through this defense works as it should."


def _sizes(subject: Subject) -> tuple[int, int, int]:
    """The numbers of images, of steps, and of perturbations of each image."""
    return (min(subject.n, 64), 60, 100) if subject.full else (min(subject.n, 16), 30, 20)


def _gone(trace: Trace) -> Tensor:
    return ((trace.norms == 0) | ~torch.isfinite(trace.norms)).any(dim=0)


def _changes(subject: Subject, x: Tensor, y: Tensor, noise: Any, around: int) -> Tensor:
    """The mean relative change of the margin for I2, `(B,)`."""
    view, *_ = subject.look(GradientMode.NONE, 1)
    still = subject.worker.margins(view, x, y, noise)[:, 0]
    total = torch.zeros_like(still)
    for k in range(around):
        tremor = AROUND * (2 * noise.of("check").at(k).uniform(x, step=4) - 1)
        total += (subject.worker.margins(view, (x + tremor).clamp(0, 1), y, noise)[:, 0] - still).abs()
    return total / around / still.abs()


def _silent(subject: Subject, trace: Trace, rows: Tensor) -> tuple[int, int, float] | None:
    """I3; None if there are several draws, or if the attack was blind."""
    if subject.run.spec.draws > 1 or subject.planned.gradient is GradientMode.BLIND:
        return None
    unbroken = torch.from_numpy(subject.shares[rows.cpu().numpy()] == 1).to(trace.broken.device)
    return int((trace.broken & unbroken).sum()), len(rows), ALLOWED


def _unfinished(trace: Trace) -> Tensor:
    """I4 of each unbroken image, bool."""
    low = trace.margins.cummin(dim=0).values[:, ~trace.broken]
    spread = (low[0] - low[-1]).clamp_min(1e-12)
    return (low[-1 - LAST] - low[-1]) / spread > MOVES


def _transfer_failures(subject: Subject) -> tuple[int, int, float] | None:
    """I5; None if the attacked model is the scored one, or no images are stored."""
    if subject.planned.gradient is not GradientMode.BLIND or subject.undefended or subject.evidence is None:
        return None
    view, x, y, noise = subject.look(GradientMode.BLIND)
    fooled = margin(subject.worker.logits(view, subject.adversarial(x), noise)[0], y) < 0
    right = torch.from_numpy(subject.shares >= HALF).to(fooled.device)
    return int((fooled & right).sum()), subject.n, ALLOWED
