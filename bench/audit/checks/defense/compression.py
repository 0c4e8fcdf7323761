"""The purifier shrinks what it is robust to: its compression rate under fixed draws.

`rate = ||P(x + d) - P(x)|| / ||d||` (l2, the same draw for both), for `d` random in the ball's corners and for the run's own
adversarial `d`. Below 1 the purifier shrinks a perturbation, above 1 it magnifies it: a sign of robustness, or of none, that
needs no gradient. It speaks against a number only where the images that stand are magnified: their rate for the adversarial `d`
above 2 on more than half of at least 8 images (exact binomial test, p < .01).

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
    """What it computes at most."""
    return [Load(subject.n, Work(evaluations=3))]


def check(subject: Subject) -> Finding:
    """Purifies clean, randomly shifted and adversarial images under the same draw."""
    view, x, _, noise = subject.look(GradientMode.NONE)
    threat, draw = subject.planned.threat, noise.of("score")
    direction = steepest(noise.of("check").normal(x, step=5), threat)
    shifted = {"random": project(x + threat.radius * direction, x, threat), "adversarial": subject.adversarial(x)}
    pure = subject.worker.purified(view, x, draw)
    rates = {name: _rate(subject.worker.purified(view, z, draw) - pure, z - x) for name, z in shifted.items()}
    stands = torch.from_numpy(subject.shares >= 0.5).to(x.device)
    told = rates["adversarial"][stands]
    told = told[torch.isfinite(told)]
    magnified = int((told > MAGNIFIES).sum())
    fires = len(told) >= FEWEST and exceeds(magnified, len(told), 0.5) < LEVEL
    values = {
        name: float(rate[torch.isfinite(rate)].median()) if torch.isfinite(rate).any() else None
        for name, rate in rates.items()
    }
    return Finding(
        verdict=SUSPECT if fires else PASS,
        values={**values, "standing": len(told), "magnified": magnified},
        threshold=f"adversarial rate of standing images {MAGNIFIES:g}",
        meaning=_meaning(values["random"], values["adversarial"], magnified, len(told), fires=fires),
        command=subject.command(subject.attacks.scores),
    )


def _rate(moved: Tensor, delta: Tensor) -> Tensor:
    """Per image; not finite where nothing was changed."""
    return moved.flatten(1).norm(dim=1) / delta.flatten(1).norm(dim=1)


def _meaning(random: float | None, adversarial: float | None, magnified: int, n: int, *, fires: bool) -> str:
    if fires:
        return f"The purifier magnifies the very perturbations that it is said to be robust to, on {magnified} of {n} images: look for a masked gradient."
    judged = f"{magnified} of {n} images that stand are magnified" if n >= FEWEST else f"{n} stand, too few to judge"
    return f"Median rate {_word(random)} for random and {_word(adversarial)} for adversarial perturbations, below 1 shrinks them; {judged}."


def _word(rate: float | None) -> str:
    return "unknown" if rate is None else f"{rate:.2f}"
