"""The purifier shrinks the perturbations that it is robust to: its compression rate under fixed draws.

`rate = ||P(x + d) - P(x)|| / ||d||` (l2, the same draw for both), for `d` random in the ball's corners and for the run's own
adversarial `d`. Below 1 the purifier shrinks a perturbation, above 1 it magnifies it: a sign of robustness that needs no
gradient. The check fires only if unbroken images are magnified: a rate above 2 for the adversarial `d` on more than half of
at least 8 unbroken images (exact binomial test, p < .01).

References:
    How Do Diffusion Models Improve Adversarial Robustness? (Yuezhang, Wei, 2025)
    https://arxiv.org/abs/2505.22839
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.audit.bar import LEVEL, exceeds
from bench.audit.finding import PASS, SUSPECT, Finding
from bench.audit.price import Load
from bench.audit.subject import Subject
from bench.ball import project, steepest
from bench.gradient import GradientMode
from bench.pace import Work

MAGNIFIES, FEWEST = 2.0, 8


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    if subject.undefended:
        return "there is no purifier"
    return subject.why_no_evidence


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [Load(subject.n, Work(evaluations=3))]


def check(subject: Subject) -> Finding:
    """Purifies clean, randomly shifted and adversarial images under the same draw."""
    view, x, _, noise = subject.look(GradientMode.NONE)
    threat, draw = subject.planned.threat, noise.of("score")
    direction = steepest(noise.of("check").normal(x, step=5), threat)
    shifted = {"random": project(x + threat.radius * direction, x, threat), "adversarial": subject.adversarial(x)}
    pure = subject.worker.purified(view, x, draw)
    rates = {name: _rate(subject.worker.purified(view, z, draw) - pure, z - x) for name, z in shifted.items()}
    unbroken = torch.from_numpy(subject.shares >= 0.5).to(x.device)
    judged = rates["adversarial"][unbroken]
    judged = judged[torch.isfinite(judged)]
    magnified = int((judged > MAGNIFIES).sum())
    fires = len(judged) >= FEWEST and exceeds(magnified, len(judged), 0.5) < LEVEL
    values = {
        name: float(rate[torch.isfinite(rate)].median()) if torch.isfinite(rate).any() else None
        for name, rate in rates.items()
    }
    return Finding(
        verdict=SUSPECT if fires else PASS,
        values={**values, "standing": len(judged), "magnified": magnified},
        threshold=f"adversarial rate of unbroken images {MAGNIFIES:g}",
        meaning=_meaning(values["random"], values["adversarial"], magnified, len(judged), fires=fires),
        command=subject.command(subject.attacks.scores),
    )


def _rate(moved: Tensor, delta: Tensor) -> Tensor:
    """The rate per image, `(B,)`; not finite for an unchanged image."""
    return moved.flatten(1).norm(dim=1) / delta.flatten(1).norm(dim=1)


def _meaning(random: float | None, adversarial: float | None, magnified: int, n: int, *, fires: bool) -> str:
    if fires:
        return f"The purifier magnifies the perturbations that it seems robust to, on {magnified} of {n} images: look for a masked gradient."
    judged = (
        f"{magnified} of {n} unbroken images are magnified" if n >= FEWEST else f"{n} are unbroken, too few to judge"
    )
    return f"Median rate {_word(random)} for random and {_word(adversarial)} for adversarial perturbations (below 1, they shrink); {judged}."


def _word(rate: float | None) -> str:
    return "unknown" if rate is None else f"{rate:.2f}"
