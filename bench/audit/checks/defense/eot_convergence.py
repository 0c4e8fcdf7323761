"""Two independent averages over fresh draws agree on the gradient.

`c(e)` is the median over images of the cosine between the mean gradients of two disjoint sets of `e` draws. If `s` is the true
gradient's share of the energy of one draw's, `c(e) = s / (s + (1 - s) / e)`, and the estimate's cosine with the true one is
`sqrt(c)`. At the number of draws that the run's attack averages, `c` has to exceed .05: below, each step is mostly noise.

References:
    Synthesizing Robust Adversarial Examples (Athalye, Engstrom, Ilyas, Kwok, 2018)
    https://arxiv.org/abs/1707.07397
"""

from __future__ import annotations

from torch.nn.functional import cosine_similarity

from bench.audit.bar import LEVEL, exceeds
from bench.audit.finding import PASS, SUSPECT, Finding
from bench.audit.price import Load
from bench.audit.rival import Rival
from bench.audit.subject import Subject
from bench.gradient import GradientMode
from bench.losses import carlini_wagner
from bench.pace import Work

AGREES, IMAGES = 0.05, 16
SIZES = (1, 2, 5, 10, 20)


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    if subject.deterministic:
        return "the defense is deterministic"
    if subject.knows:
        return "the run's attack knows its draws and takes no average"
    return (
        "" if subject.planned.gradient is GradientMode.FULL else "the run's attack does not differentiate the purifier"
    )


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [Load(min(subject.n, IMAGES), Work(gradients=2 * sum(_sizes(subject))), GradientMode.FULL)]


def check(subject: Subject) -> Finding:
    """Averages over two disjoint sets of draws, for several numbers of draws."""
    view, x, y, noise = subject.look(GradientMode.FULL, min(subject.n, IMAGES))
    values, draw = {}, 0
    for size in _sizes(subject):
        pair = []
        for _ in range(2):
            draws = noise.of("check").at(draw).spread(size)
            pair.append(view.expect(x, y, draws, carlini_wagner)[2].flatten(1))
            draw += size
        cosines = cosine_similarity(pair[0], pair[1], dim=1)
        values[str(size)] = float(cosines.median())
    eot = _eot(subject)
    low = int((cosines < AGREES).sum())
    noisy = exceeds(low, len(x), 0.5) < LEVEL
    median = values[str(eot)]
    agree = f"median cosine {median:.2f} at {eot} draw{'s' if eot > 1 else ''}"
    return Finding(
        verdict=SUSPECT if noisy else PASS,
        values={"cosine by draws": values, "the attack's draws": eot},
        threshold=f"cosine {AGREES:g} at the attack's own number of draws, on half of the images (p < .01)",
        meaning=_meaning(agree, median, noisy=noisy),
        command=subject.command(_more(subject, eot)),
    )


def _meaning(agree: str, median: float, *, noisy: bool) -> str:
    if noisy:
        return f"Two averages over fresh draws hardly agree ({agree}): the attack steps along noise; raise -A eot=, or attack the known draws."
    if not median >= AGREES:
        return f"Two averages over fresh draws hardly agree, on too few images to tell from chance ({agree})."
    return f"The averaged gradient points where another average points ({agree})."


def _more(subject: Subject, eot: int) -> Rival:
    """The run's attack with four times the draws, or EOT if it takes no average."""
    if "eot" not in subject.args:
        return subject.attacks.eot
    return Rival(subject.run.spec.attack.name, {**subject.args, "eot": 4 * eot})


def _eot(subject: Subject) -> int:
    return int(subject.args.get("eot", 1))


def _sizes(subject: Subject) -> list[int]:
    """The numbers of draws to average, the attack's own last."""
    most = _eot(subject)
    return [size for size in SIZES if size < most] + [most]
