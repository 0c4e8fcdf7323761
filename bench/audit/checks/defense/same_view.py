"""The defense that is scored is the one that was attacked.

The attacker differentiates the defense under draws of purpose `attack`, with a graph; the score evaluates it under draws of
purpose `score`, without one. Neither may change the result. Three comparisons on the first images `x`:

- the largest pixel difference between the purified images with and without a graph, under the same draw: below 1e-3;
- for a deterministic defense, the largest pixel difference between the two purposes: below 1e-3;
- for a stochastic one, the mean over images of `log(||P(x; score) - x|| / ||P(x; attack) - x||)`, root mean square over 4
  draws: within .05 of 0, unless an exact sign-flip test gives p of .01 or more.

References:
    On Evaluating Adversarial Robustness (Carlini et al., 2019)
    https://arxiv.org/abs/1902.06705
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench.audit.bar import LEVEL
from bench.audit.finding import PASS, REFUTED, Finding
from bench.audit.price import Load
from bench.audit.subject import Subject
from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images
from bench.stats.paired import paired_p

SAME = 1e-3
"""Largest pixel difference: kernels with and without a graph differ by up to 4e-5."""
STRENGTH, DRAWS = 0.05, 4


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    return "there is no purifier" if subject.undefended else ""


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [Load(subject.n, Work(evaluations=3 if subject.deterministic else 2 + 2 * DRAWS))]


def check(subject: Subject) -> Finding:
    """Purifies with and without a graph, for the attacker and for the scorer."""
    view, x, _, noise = subject.look(subject.mode)
    values: dict[str, Any] = {"graph": _graph_difference(subject, view, x, noise)}
    wrong = ["with a graph and without"] if values["graph"] > SAME else []
    if subject.deterministic:
        one, other = (subject.worker.purified(view, x, noise.of(purpose)) for purpose in ("score", "attack"))
        values["purpose"] = float((one - other).abs().max())
        wrong += ["when it is scored and when it is attacked"] if values["purpose"] > SAME else []
    else:
        values["strength"], values["p"] = _strengths(subject, view, x, noise)
        off = abs(values["strength"]) > STRENGTH and values["p"] < LEVEL
        wrong += ["when it is scored and when it is attacked"] if off else []
    return Finding(
        verdict=REFUTED if wrong else PASS,
        values=values,
        threshold=f"pixels {SAME:g}; strength of the noise {STRENGTH:g} (log ratio) with p < .01",
        meaning=_meaning(wrong, values.get("strength")),
        command=f"bench verify {subject.run.run_id}",
    )


def _meaning(wrong: Sequence[str], strength: float | None) -> str:
    if wrong:
        return f"The defense acts differently {' and '.join(wrong)}: the number is not that of the attacked defense; do not use it."
    if strength is not None and abs(strength) > STRENGTH:
        return f"The noise of the score seems {'weaker' if strength < 0 else 'stronger'} than the attack's (log ratio {strength:+.2f}), on too few images to tell from chance."
    return "The defense that was attacked is the one that is scored."


def _graph_difference(subject: Subject, view: DefendedClassifier, x: Images, noise: Noise) -> float:
    """The largest pixel difference between purifying with a graph (attack) and without (score)."""
    count = min(len(x), view.chunk)
    rows, leaf = slice(0, count), x[:count].detach().requires_grad_()
    mode = view.view(GradientMode.FULL if subject.differentiable else GradientMode.BPDA)
    attacked = mode.shown(leaf, noise[rows].of("score")).detach()
    return float((attacked - subject.worker.purified(view, x[rows], noise[rows].of("score"))).abs().max())


def _strengths(subject: Subject, view: DefendedClassifier, x: Images, noise: Noise) -> tuple[float, float]:
    """Mean log ratio of the distances that images are moved (score over attack), and the p-value that it is 0."""
    scored, attacked = (_moved(subject, view, x, noise.of(purpose)) for purpose in ("score", "attack"))
    ratio = (scored.clamp_min(1e-12) / attacked.clamp_min(1e-12)).log().double().cpu().numpy()
    return float(ratio.mean()), paired_p(ratio, 0 * ratio)


def _moved(subject: Subject, view: DefendedClassifier, x: Images, noise: Noise) -> Tensor:
    pure = subject.worker.purified(view, x.repeat(DRAWS, 1, 1, 1), noise.spread(DRAWS))
    moved = (pure - x.repeat(DRAWS, 1, 1, 1)).square().flatten(1).sum(dim=1)
    return torch.sqrt(moved.view(DRAWS, len(x)).mean(dim=0))
