"""The attack succeeds on draws that it did not choose.

`gap = success(own) - success(fresh)` on the run's adversarial images; success is the share of wrong predictions. `own` is the
attack's first draw (purpose `attack`), or the scored draws if the attack knows them; `fresh` are draws that neither the attack
nor the score has used. A gap above .1 with an exact sign-flip p below .01 means that the attack fitted its own draws. If the
attack knows the scored draws, the gap is the worth of knowing them, and no evidence against the number.

References:
    Towards Understanding the Robustness of Diffusion-Based Purification: A Stochastic Perspective (Liu et al., 2024)
    https://arxiv.org/abs/2404.14309
"""

from __future__ import annotations

import numpy as np

from bench.audit.bar import LEVEL
from bench.audit.finding import PASS, SUSPECT, Finding
from bench.audit.price import Load
from bench.audit.subject import Subject
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.pace import Work
from bench.stats.intervals import Interval, mean_difference
from bench.stats.paired import paired_p
from bench.text.brackets import bracketed

GAP, FRESH = 0.1, 10


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    if subject.deterministic:
        return "the defense is deterministic"
    return subject.why_no_evidence


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [Load(subject.n, Work(evaluations=FRESH + (0 if subject.knows else 1)))]


def check(subject: Subject) -> Finding:
    """Scores the stored images under the attack's draws and under fresh ones."""
    _, _, _, noise = subject.look(GradientMode.NONE)
    own = 1 - subject.shares if subject.knows else _success(subject, noise.of("attack"))
    fresh = _success(subject, noise.of("check").at(1000).spread(FRESH))
    gap, p = mean_difference(own, fresh), paired_p(own, fresh) / 2
    fitted = not subject.knows and gap.value > GAP and p < LEVEL
    return Finding(
        verdict=SUSPECT if fitted else PASS,
        values={
            "own": float(own.mean()),
            "fresh": float(fresh.mean()),
            "gap": gap.as_dict(),
            "p": p,
            "known": subject.knows,
        },
        threshold=f"gap {GAP:g} with p < .01",
        meaning=_meaning(gap, knows=subject.knows, fitted=fitted),
        command=subject.command(subject.attacks.eot if subject.differentiable else subject.attacks.bpda),
    )


def _meaning(gap: Interval, *, knows: bool, fitted: bool) -> str:
    size = bracketed(gap, signed=True)
    if knows:
        return f"Knowing the scored draws is worth {size} points of success."
    if fitted:
        return f"The attack succeeds on its own draws by {size} points more than on fresh ones: it fitted them; average over more (-A eot=)."
    if gap.low > 0:
        result = "The attack does better on its own draws than on fresh ones, by too little or on too few images to say that it fitted them"
    elif gap.high > GAP:
        result = f"No gap shows between the attack's own draws and fresh ones, and these images do not exclude one of {100 * GAP:g} points"
    else:
        result = f"The attack does as well on fresh draws as on its own, to within {100 * GAP:g} points"
    return f"{result} (points of success on its own above fresh ones: {size})."


def _success(subject: Subject, draws: Noise) -> np.ndarray:
    view, x, y, _ = subject.look(GradientMode.NONE)
    margins = subject.worker.margins(view, subject.adversarial(x), y, draws)
    return (margins < 0).double().mean(dim=1).cpu().numpy()
