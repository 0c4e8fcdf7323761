"""Black-box and transfer attacks break nothing that the white box did not.

Square (100 queries in a quick audit, 1,000 in a full one) sees scores only; the transfer attack ascends the classifier
alone. Neither uses the purifier's gradient. An image that one of them breaks and the white box does not is a violation.

References:
    On Evaluating Adversarial Robustness (Carlini et al., 2019)
    https://arxiv.org/abs/1902.06705
    Square Attack: a query-efficient black-box adversarial attack via random search (Andriushchenko, Croce, Flammarion, Hein, 2020)
    https://arxiv.org/abs/1912.00049
"""

from __future__ import annotations

from bench.audit.finding import Finding
from bench.audit.ordered import against_run
from bench.audit.price import Load
from bench.audit.rival import Rival
from bench.audit.subject import Subject

QUICK_QUERIES, QUERIES = 100, 1000


def why_not(subject: Subject) -> str:
    """Why the check does not apply; empty if it does."""
    if not subject.takes_gradients:
        return "the run's attack takes no gradients"
    return "" if subject.attacked else "the run's attack changes no image"


def loads(subject: Subject) -> list[Load]:
    """The work of the check, at most."""
    return [subject.load(rival) for rival in _rivals(subject).values()]


def check(subject: Subject) -> Finding:
    """Compares the run with attacks that use no gradient of the purifier."""
    return against_run(
        subject,
        _rivals(subject),
        broken="Images that the white box left unbroken fell to {names}, which sees less: the purifier's gradient is masked or wrong; "
        "rank the defense by the worst of all attacks.",
        good="Attacks that see less than the white box break no more images.",
    )


def _rivals(subject: Subject) -> dict[str, Rival]:
    queries = QUERIES if subject.full else QUICK_QUERIES
    square = {} if subject.planned.threat.norm == "l1" else {"Square": Rival("square", {"queries": queries})}
    return square | ({} if subject.undefended else {"transfer": subject.attacks.blind})
