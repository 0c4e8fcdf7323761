"""The right attack for a defense, by what its class declares."""

from __future__ import annotations

from bench.errors import UserError
from bench.registry.registry import Registry


def right_attack(registry: Registry, defense: str) -> str:
    """The preset for a defense: BPDA if it has no gradient, the full gradient if it is deterministic, else the scored draws' gradient.

    Raises:
        UserError: There is no defense of this name.
    """
    target = registry.find("defenses", defense).load()
    if not isinstance(getattr(target, "deterministic", None), bool):
        raise UserError("defense-claim-missing", defense=defense)
    if not getattr(target, "differentiable", True):
        return "pgd-bpda"
    return "pgd-full" if target.deterministic else "pgd-known"
