"""An attack finds adversarial images that were planted: the binarization test, on the whole defense.

The last layer of the classifier is replaced, for each image, by a linear readout of two classes that separates 100 (full audit:
999) uniform points of the ball from one of its corners; the rest of the defense stays. With `m` and `S` the mean and the
covariance of the features `f` of the inner points, `w = (S + lambda I)^-1 (f_corner - m)`, and the boundary lies halfway from
the largest inner score to the corner's. So an adversarial image exists by construction. Two ascents of 20 steps, from the image
and from a random start, look for one. The check fires if both fail on more than 5 % of the images (exact binomial p below .01).

References:
    Increasing Confidence in Adversarial Robustness Evaluations (Zimmermann, Brendel, Tramer, Carlini, 2022)
    https://arxiv.org/abs/2206.13991
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.audit.bar import LEVEL, exceeds
from bench.audit.finding import PASS, SUSPECT, Finding, skipped
from bench.audit.price import Load
from bench.audit.subject import Subject
from bench.audit.trace import ascend
from bench.ball import project, steepest, uniform_in_ball
from bench.pace import Work

FAILURES, STEPS, RIDGE, HALFWAY = 0.05, 20, 1e-3, 0.5
FEWEST = 4


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    return ""


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    images, inner = _sizes(subject)
    return [Load(images, Work(evaluations=inner + 1, gradients=2 * (STEPS + 1)), subject.mode)]


def check(subject: Subject) -> Finding:
    """Plants one adversarial image per image, and looks for it by gradient ascent."""
    images, inner = _sizes(subject)
    view, x, _, noise = subject.look(subject.mode, images)
    view, noise, threat = view.single(), noise.of("score"), subject.planned.threat
    features = view.reading(Features(view.network))
    points = [uniform_in_ball(x, threat, noise.of("check").at(k)) for k in range(inner)]
    corner = project(x + threat.radius * steepest(noise.of("check").normal(x, step=6), threat), x, threat)
    inside = torch.stack([subject.worker.logits(features, point, noise)[0] for point in points])
    outside = subject.worker.logits(features, corner, noise)[0]
    weights, bars, gaps = _readouts(inside, outside)
    rows = (gaps > 0).nonzero()[:, 0]
    if len(rows) < FEWEST:
        return skipped(
            "no linear readout separates a corner of the ball from its inside: the purifier makes them equal"
        )
    readout = view.reading(Readout(view.network, weights, bars))
    found = torch.zeros(len(rows), dtype=torch.bool, device=x.device)
    for start in (x[rows], uniform_in_ball(x, threat, noise.of("start"))[rows]):
        trace = ascend(readout, x[rows], rows, noise[rows], threat, steps=STEPS, objective=own_score, start=start)
        found |= trace.broken
    failed = int((~found).sum())
    fires = exceeds(failed, len(rows), FAILURES) < LEVEL
    values = {"images": len(rows), "found": len(rows) - failed, "not separable": images - len(rows)}
    return Finding(
        verdict=SUSPECT if fires else PASS,
        values=values,
        threshold="planted images missed on more than 5 % with p < .01",
        meaning=_meaning(failed, len(rows), fires=fires),
        command=subject.command(subject.attacks.scores),
    )


def _meaning(failed: int, n: int, *, fires: bool) -> str:
    if fires:
        return (
            f"An ascent misses planted adversarial images on {failed} of {n} images: gradients of this defense do not lead to adversarial images "
            "that exist; its robust accuracy says little."
        )
    if failed:
        return f"An ascent finds {n - failed} of the {n} adversarial images that were planted: it misses no more than chance allows."
    return f"An ascent finds all {n} adversarial images that were planted."


def own_score(scores: Tensor, rows: Tensor) -> Tensor:
    """The score of each image's own readout."""
    return scores.gather(1, rows[:, None])[:, 0]


class Features(nn.Module):
    """The inputs of a classifier's last linear layer, or its logits if it has none."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier
        linear = [module for module in classifier.modules() if isinstance(module, nn.Linear)]
        self.last = linear[-1] if linear else None

    def forward(self, x: Tensor) -> Tensor:
        """Features, `(B, F)`."""
        if self.last is None:
            return self.classifier(x)
        seen: list[Tensor] = []
        handle = self.last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            self.classifier(x)
        finally:
            handle.remove()
        return seen[-1].flatten(1)


class Readout(nn.Module):
    """All readouts `f w_k - bar_k` of a batch, `(B, images)`."""

    def __init__(self, classifier: nn.Module, weights: Tensor, bars: Tensor) -> None:
        super().__init__()
        self.features, self.weights, self.bars = Features(classifier), weights, bars

    def forward(self, x: Tensor) -> Tensor:
        """Scores; above 0 means the planted class."""
        return self.features(x) @ self.weights.T - self.bars


def _sizes(subject: Subject) -> tuple[int, int]:
    """The numbers of images and of points inside the ball."""
    return (min(subject.n, 32), 999) if subject.full else (min(subject.n, 8), 100)


def _readouts(inside: Tensor, outside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The readouts of features `(N, B, F)` inside the ball and `(B, F)` at the corner.

    Returns:
        Weights `(B, F)`, bars `(B,)`, and the corner's score minus the largest inner one `(B,)`.
    """
    centred = inside - inside.mean(dim=0)
    covariance = torch.einsum("nbf,nbg->bfg", centred, centred) / len(inside)
    size = covariance.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(1e-12)
    ridge = RIDGE * size[:, None, None] * torch.eye(outside.shape[1], device=outside.device, dtype=outside.dtype)
    away = outside - inside.mean(dim=0)
    weights = torch.linalg.solve(covariance + ridge, away)
    weights = weights / (weights.norm(dim=1, keepdim=True) * size.sqrt()[:, None]).clamp_min(1e-12)
    inner, corner = torch.einsum("nbf,bf->nb", inside, weights).amax(dim=0), (outside * weights).sum(dim=1)
    return weights, inner + HALFWAY * (corner - inner), corner - inner
