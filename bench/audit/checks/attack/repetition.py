"""The recorded attack, repeated on images that nobody could foresee, breaks no more images than the record says.

The maker of a record can skip the attack on some images: an image that was not attacked lies in the ball and is scored as
recorded, so the record verifies. Therefore a random secret chooses 16 (quick) or 64 of the unbroken images; the run's own attack
is repeated on them, and they are scored on the same draws. In the record's environment at most a few may fall, elsewhere, where
rounding differs, some more. An attack of another package works on whole shards: a full audit repeats one, a quick audit none.

References:
    On Evaluating Adversarial Robustness (Carlini et al., 2019)
    https://arxiv.org/abs/1902.06705
"""

from __future__ import annotations

import hashlib
import secrets

import numpy as np

from bench.audit.bar import ALLOWED, CLEAR, LEVEL, exceeds, power
from bench.audit.finding import PASS, REFUTED, Finding
from bench.audit.price import Load
from bench.audit.subject import Subject
from bench.figures.runs import same_environment
from bench.records.header import Environment
from bench.records.record import SHARD
from bench.run.prediction import scored

QUICK_IMAGES, IMAGES = 16, 64
SPARED = 0.25
"""The share of skipped images for which the power of the check is stated."""
ALLOWED_SAME = 0.002
"""Share of images that may fall in the record's own environment, where only the number of threads can change a rounding."""


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    if not subject.attacked:
        return "the run's attack changes no image, or is random itself"
    if subject.planned.whole_shards and not subject.full:
        return "the run's attack takes whole shards: a full audit repeats one"
    return "" if len(_choices(subject)) else "no image is unbroken"


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    planned = subject.planned
    work = planned.work and scored(planned.work, planned)
    return [Load(len(_opened(subject, 0)), work, planned.gradient)]


def check(subject: Subject) -> Finding:
    """Repeats the attack on secretly chosen images, and compares."""
    secret = secrets.randbits(64)
    positions = _opened(subject, secret)
    recorded = _recorded(subject, positions)
    lines, _ = subject.worker.execute(positions)
    repeated = np.array([np.mean([guess == line.label for guess in line.adversarial]) for line in lines])
    broken = [line.id for line, fell in zip(lines, recorded - repeated >= CLEAR, strict=True) if fell]
    same = same_environment(*subject.run.environments, Environment(**subject.worker.environment))
    allowed = ALLOWED_SAME if same else ALLOWED
    p = exceeds(len(broken), len(lines), allowed)
    seen = power(len(lines), SPARED, allowed)
    values = {
        "images": len(lines),
        "opened": [line.id for line in lines],
        "broken": broken,
        "recorded": float(recorded.mean()),
        "repeated": float(repeated.mean()),
        "same_environment": same,
        "p": p,
        "power": seen,
        "secret": str(secret),
    }
    return Finding(
        verdict=PASS if p >= LEVEL else REFUTED,
        values=values,
        threshold=f"more than {100 * allowed:g} % of the images fall, with p < .01",
        meaning=_meaning(len(broken), len(lines), seen, refuted=p < LEVEL),
        command=subject.command_again(),
    )


def _meaning(broken: int, n: int, seen: float, *, refuted: bool) -> str:
    if refuted:
        return (
            f"Of {n} images chosen by chance the recorded attack breaks {broken} that are unbroken in the record: "
            "it was not made by this attack; do not use it."
        )
    return (
        f"Repeated on {n} images chosen by chance, the attack breaks {broken} that are unbroken in the record; "
        f"if {100 * SPARED:g} % of them had been spared, this would show with probability {seen:.2f}."
    )


def _choices(subject: Subject) -> np.ndarray:
    """Positions of the unbroken images."""
    positions = _done(subject)
    return positions[_recorded(subject, positions) >= CLEAR]


def _done(subject: Subject) -> np.ndarray:
    """Positions of the run's images in the data set."""
    return np.flatnonzero(np.isin(subject.planned.dataset.ids, subject.run.ids))


def _recorded(subject: Subject, positions: np.ndarray) -> np.ndarray:
    """The recorded shares of right draws of these images."""
    shares = dict(zip(subject.run.ids.tolist(), subject.run.shares().tolist(), strict=True))
    return np.array([shares[sample] for sample in subject.planned.dataset.ids[positions].tolist()])


def _opened(subject: Subject, secret: int) -> np.ndarray:
    """The positions that a secret chooses: some unbroken images, or one whole shard."""
    choices = _choices(subject)
    if subject.planned.whole_shards:
        first = min(np.unique(choices // SHARD), key=lambda shard: _place(secret, int(shard)))
        done = _done(subject)
        return done[done // SHARD == first]
    ids = subject.planned.dataset.ids[choices]
    order = sorted(range(len(choices)), key=lambda row: _place(secret, int(ids[row])))
    return np.sort(choices[order[: IMAGES if subject.full else QUICK_IMAGES]])


def _place(secret: int, number: int) -> bytes:
    return hashlib.sha256(f"{secret}:{number}".encode()).digest()
