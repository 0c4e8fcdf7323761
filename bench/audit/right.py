"""The right attack for a defense, by what its class says of itself."""

from __future__ import annotations

from bench.errors import UserError
from bench.registry.registry import Registry


def right_attack(registry: Registry, defense: str) -> str:
    """BPDA where there is no gradient, the full gradient where nothing is random, that of the scored draws elsewhere.

    Raises:
        UserError: Nothing has this name, or it is no defense.
    """
    target = registry.find("defenses", defense).load()
    if not isinstance(getattr(target, "deterministic", None), bool):
        raise UserError(f"expected {defense} to say `deterministic: ClassVar[bool]`, got nothing; add it to the class")
    if not getattr(target, "differentiable", True):
        return "pgd-bpda"
    return "pgd-full" if target.deterministic else "pgd-known"
