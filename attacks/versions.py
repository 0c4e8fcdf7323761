"""The versions of AutoAttack: their attacks, what these cost, and how many classes they need."""

from __future__ import annotations

from bench.errors import UserError
from bench.pace import Work

MEMBERS = {
    "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
    "plus": ("apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"),
    "rand": ("apgd-ce", "apgd-dlr"),
    "custom": (),
}
STEPS, QUERIES, TARGETS, EOT, RESTARTS = 100, 5000, 9, 20, 5


def members_of(version: str, attacks: tuple[str, ...]) -> tuple[str, ...]:
    """The attacks of a version, or the given ones for `custom`.

    Raises:
        UserError: The version or an attack does not exist.
    """
    names = MEMBERS["plus"]
    if version not in MEMBERS or (version == "custom") != bool(attacks) or not set(attacks) <= set(names):
        raise UserError(
            "autoattack-version",
            versions=MEMBERS,
            names=names,
            version=version,
            attacks=",".join(attacks),
        )
    return MEMBERS[version] or attacks


def check_classes(members: tuple[str, ...], classes: int) -> None:
    """Raises `UserError` if the data set has too few classes for the loss of an attack."""
    for name, least in (("apgd-dlr", 3), ("apgd-t", 4)):
        if name in members and classes < least:
            raise UserError("autoattack-classes", least=least, name=name, classes=classes)


def cost(name: str, classes: int, version: str) -> Work:
    """The evaluations and gradients of one attack for an image that it does not break."""
    targets, eot = min(TARGETS, classes - 1), EOT if version == "rand" else 1
    restarts = RESTARTS if version in ("plus", "custom") else 1  # custom keeps the defaults of its attacks
    return {
        "apgd-ce": Work(restarts, restarts * eot * (STEPS + 1)),
        "apgd-dlr": Work(restarts, restarts * eot * (STEPS + 1)),
        "apgd-t": Work(targets + 1, targets * eot * (STEPS + 1)),
        "fab": Work(restarts * STEPS, restarts * STEPS * classes),
        "fab-t": Work(targets * (STEPS + 3), targets * STEPS),
        "square": Work(QUERIES + 3, 0),
    }[name]
