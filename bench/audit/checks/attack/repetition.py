"""The recorded attack, made again on images that nobody could foresee, breaks no more than the record says.

Whoever makes a record can leave the attack out where they like: an image that was not attacked lies in the ball, is scored as recorded, and
verifies. So 16 (quick) or 64 of the images that stand are chosen by a secret of this audit, attacked by the run's own attack, and scored on
the same draws. Where the environment is the record's, every prediction has to come out again; elsewhere rounding may let a few fall. An
attack of another package gives what it gives to whole shards: a full audit repeats one, a quick one none.

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
"""The share of images left out by a dishonest maker for which a finding states its power."""
ALLOWED_HERE = 0.002
"""Share of images that may fall in the record's own environment, where nothing but the number of threads can change a rounding."""


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    if not subject.attacked:
        return "the run's attack changes no image, or is random itself"
    if subject.planned.whole_shards and not subject.full:
        return "the run's attack takes whole shards: a full audit repeats one"
    return "" if len(_choices(subject)) else "no image stands"


def loads(subject: Subject) -> list[Load]:
    """What it computes at most."""
    planned = subject.planned
    work = planned.work and scored(planned.work, planned)
    return [Load(len(_opened(subject, 0)), work, planned.gradient)]


def check(subject: Subject) -> Finding:
    """Attacks images again, chosen by a secret, and compares."""
    secret = secrets.randbits(64)
    positions = _opened(subject, secret)
    recorded = _recorded(subject, positions)
    lines, _ = subject.worker.execute(positions)
    repeated = np.array([np.mean([guess == line.label for guess in line.adversarial]) for line in lines])
    broken = [line.id for line, fell in zip(lines, recorded - repeated >= CLEAR, strict=True) if fell]
    here = same_environment(*subject.run.environments, Environment(**subject.worker.environment))
    allowed = ALLOWED_HERE if here else ALLOWED
    p = exceeds(len(broken), len(lines), allowed)
    seen = power(len(lines), SPARED, allowed)
    values = {
        "images": len(lines), "opened": [line.id for line in lines], "broken": broken, "recorded": float(recorded.mean()), "repeated": float(repeated.mean()),
        "same_environment": here, "p": p, "power": seen, "secret": str(secret),
    }  # fmt: skip
    threshold = f"more than {100 * allowed:g} % of the images fall, with p < .01"
    if p >= LEVEL:
        return Finding(
            name="", verdict=PASS, values=values, threshold=threshold,
            meaning=f"Made again on {len(lines)} images chosen by chance, the attack breaks {len(broken)} that the record says stand; "
            f"had {100 * SPARED:g} % of them been spared, this would have shown it with probability {seen:.2f}.",
        )  # fmt: skip
    return Finding(
        name="", verdict=REFUTED, values=values, threshold=threshold, command=subject.again(),
        meaning=f"Of {len(lines)} images chosen by chance the recorded attack breaks {len(broken)} that the record says stand: it was not made by this attack; "
        "do not use it.",
    )  # fmt: skip


def _choices(subject: Subject) -> np.ndarray:
    """Positions of the images that stand."""
    positions = _done(subject)
    return positions[_recorded(subject, positions) >= CLEAR]


def _done(subject: Subject) -> np.ndarray:
    """Positions of the run's images in the data set."""
    return np.flatnonzero(np.isin(subject.planned.dataset.ids, subject.run.ids))


def _recorded(subject: Subject, positions: np.ndarray) -> np.ndarray:
    """The shares of right draws that the record gives these images."""
    shares = dict(zip(subject.run.ids.tolist(), subject.run.shares().tolist(), strict=True))
    return np.array([shares[sample] for sample in subject.planned.dataset.ids[positions].tolist()])


def _opened(subject: Subject, secret: int) -> np.ndarray:
    """The positions that this secret opens: some that stand, or one whole shard."""
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
