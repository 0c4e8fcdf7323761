"""Classes of attacks: a row is ranked once it has faced all required ones."""

from __future__ import annotations

from collections.abc import Mapping

from bench.records.spec import UNDEFENDED, RunSpec

FULL, AUTO, BLACK, TRANSFER = "full gradient", "AutoAttack", "black box", "transfer"
REQUIRED = (FULL, AUTO, BLACK, TRANSFER)
BPDA, KNOWN, NULL, OTHER = "BPDA", "known draws", "null", "other"

EFFORT: Mapping[str, Mapping[str, int]] = {
    FULL: {"steps": 10},
    BPDA: {"steps": 10},
    KNOWN: {"steps": 10},
    TRANSFER: {"steps": 10},
    BLACK: {"queries": 1000},
    AUTO: {"steps": 100, "queries": 1000},
}
"""The least effort of an attack in a class; with less, even an undefended classifier seems robust, so the row gets a flag."""
_AUTOATTACK = ("autoattack", "autoattack-plus", "autoattack-rand", "robustbench", "fixed-autoattack-2024")
_LIKE_AUTOATTACK = ("autoattack-fast",)


def attack_class(spec: RunSpec) -> str:
    """The class of a run's attack.

    A single gradient step, random points, and attacks of other packages whose kind is unknown are `other`: they count in
    the worst case, but fill no required class.
    """
    attack = spec.attack
    name, gradient = attack.name, attack.gradient
    if name in ("null", "random"):
        return NULL if name == "null" else OTHER
    if attack.knowledge == "known":
        return KNOWN
    if name in (*_AUTOATTACK, *_LIKE_AUTOATTACK):
        return AUTO
    if gradient == "blind" or name.partition(":")[0] == "transfer":
        return TRANSFER
    if attack.package or attack.args.get("steps") == 1:
        return OTHER
    return {"full": FULL, "bpda": BPDA, "none": BLACK}.get(gradient or "", OTHER)


def fills(spec: RunSpec, *, exact: bool = True) -> set[str]:
    """The required classes that a run fills; an exact gradient on the scored draws also counts as a full gradient.

    Arguments:
        spec: The specification of the run.
        exact: Whether its gradient is exact; one that was measured to be wrong is not a full gradient.
    """
    kind = attack_class(spec)
    filled = {kind, FULL} if kind == KNOWN and spec.attack.gradient == "full" else {kind}
    return filled if exact else filled - {FULL}


def averages_draws(spec: RunSpec) -> bool:
    """Whether the attack averages exact gradients over several fresh draws of a stochastic defense (EOT)."""
    attack = spec.attack
    repeated = attack.args.get("eot", 1) > 1 or attack.name == "autoattack-rand"
    return spec.draws > 1 and repeated and attack_class(spec) in (FULL, AUTO)


def caveats(spec: RunSpec) -> list[str]:
    """Flags for an attack that is weaker than its class suggests."""
    name, kind, args = spec.attack.name, attack_class(spec), spec.attack.args
    short = [
        f"{word}={args[word]}" for word, least in EFFORT.get(kind, {}).items() if (args.get(word) or least) < least
    ]
    return [
        *(["AutoAttack without FAB"] if name in _LIKE_AUTOATTACK else []),
        *(["inexact gradient mode"] if kind == BPDA else []),
        *([f"short {name} ({', '.join(short)})"] if short else []),
    ]


def required_of(spec: RunSpec, classes: tuple[str, ...], *, differentiable: bool) -> tuple[str, ...]:
    """The classes that a row needs.

    The undefended classifier needs no transfer, which would be from itself. A defense without a derivative needs BPDA
    instead of the full gradient.
    """
    undefended = spec.defense.name == UNDEFENDED
    needed = (kind for kind in classes if not (undefended and kind == TRANSFER))
    return tuple(BPDA if kind == FULL and not differentiable else kind for kind in needed)


def completing(kind: str, *, deterministic: bool) -> str:
    """The preset that fills a class."""
    presets = {FULL: "pgd-full", BLACK: "square", TRANSFER: "pgd-blind", BPDA: "pgd-bpda", KNOWN: "pgd-known"}
    return presets.get(kind, "autoattack" if deterministic else "autoattack-rand")
