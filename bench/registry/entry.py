"""One row of a registry table: what a name stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = {
    "defenses": "defense",
    "attacks": "attack",
    "datasets": "data set",
    "classifiers": "classifier",
    "score_models": "score model",
}
"""Kinds of components, as entry-point groups call them (`purebench.defenses`, ...), and as sentences do."""
KIND_OF = {
    "defense": "defenses", "attack": "attacks", "dataset": "datasets", "classifier": "classifiers",
    "score_model": "score_models",
}  # fmt: skip
"""The kind of what stands under each key of a spec or of a suite."""
FLAGS = {"defenses": "-D", "attacks": "-A", "classifiers": "-C", "score_models": "-S"}
"""The flag that gives arguments to components of each kind; data sets take theirs by name."""


@dataclass(frozen=True)
class Entry:
    """One row of a table: what a name stands for.

    Arguments:
        target: `module:object`.
        summary: One line of what it is.
        args: Arguments that the name fixes (a preset); the user's own go before them.
        gradient: For attacks: what is differentiated, a value of `GradientMode`.
        knowledge: For attacks: what is known of a stochastic defense's scored draws, `fresh` (nothing) or `known`.
        draws: For attacks: the number of scored draws that a protocol prescribes; 0 leaves it open.
        suits: For attacks: `deterministic` or `stochastic` if the attack is for such defenses only.
        instead: For attacks with `suits`: what to use for the others.
        package: The distribution whose code runs; an attack with one is handed whole shards, since it knows no image ids.
        remark: For protocols: what is kept of the paper and what is changed.
        cite: Where the preset comes from.
        defaults: For data sets: the names of its classifier and score model.
        threats: For data sets: its boards, the default first.
        training: For data sets: `module:object` of the function that gives the images and labels that networks may be trained on.
        parameter: For a family `name:REST`: the argument that takes the rest.
        members: For a family: `module:object` of a mapping from the names that are known to one line of what each is.
        family: Whether the target is a function from that argument to the component, so that its signature may depend on it.
    """

    target: str
    summary: str
    args: Mapping[str, Any] = field(default_factory=dict)
    gradient: str = "full"
    knowledge: str = "fresh"
    draws: int = 0
    suits: str = ""
    instead: str = ""
    package: str = ""
    remark: str = ""
    cite: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    threats: tuple[str, ...] = ()
    training: str = ""
    parameter: str = ""
    members: str = ""
    family: bool = False
