"""A row of a registry table: the component behind a name."""

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
"""Kinds of components, as in entry-point groups (`purebench.defenses`, ...), and their names in sentences."""
KIND_OF = {
    "defense": "defenses",
    "attack": "attacks",
    "dataset": "datasets",
    "classifier": "classifiers",
    "score_model": "score_models",
}
"""The kind of component under each key of a spec or a suite."""
ARGUMENTS = {kind: role for role, kind in KIND_OF.items()} | {"datasets": "data"}
"""The argument of the Python functions that takes an object of each kind."""
FLAGS = {"defenses": "-D", "attacks": "-A", "classifiers": "-C", "score_models": "-S"}
"""Flags for the arguments of each kind; data sets take theirs in the name."""


@dataclass(frozen=True, kw_only=True)
class Citation:
    """The publication of a component.

    Arguments:
        title: Its title.
        authors: Family names, as in the docstring.
        year: Year of publication.
        url: Where it can be read.
        venue: Conference or journal; empty if it is not known to have appeared in one.
        code: The authors' code; empty if there is none.
    """

    title: str
    authors: str
    year: int
    url: str
    venue: str = ""
    code: str = ""


@dataclass(frozen=True)
class Entry:
    """A row of a registry table: the component behind a name.

    Arguments:
        target: `module:object`.
        summary: One line about it.
        args: Arguments that the name fixes (a preset); the user's own override them.
        gradient: For attacks: the gradient mode, a value of `GradientMode`.
        knowledge: For attacks: `known` if the scored draws of a stochastic defense are known, else `fresh`.
        draws: For attacks: the number of scored draws that a protocol prescribes; 0 for any.
        suits: For attacks: `deterministic` or `stochastic` if the attack is for such defenses only.
        instead: For attacks with `suits`: the attack for the other defenses.
        package: The distribution whose code runs. An attack with one gets whole shards, since it knows no image ids.
        remark: For protocols: what is kept of the paper and what is changed.
        cite: The source of the preset.
        source: For defenses: the publication.
        defaults: For data sets: the names of their classifier and score model.
        threats: For data sets: the threats of their leaderboards, the default first.
        training: For data sets: `module:object` of the function that returns training images and labels.
        parameter: For a family `name:REST`: the argument that receives REST.
        members: For a family: `module:object` of a mapping from known names to one line about each.
        family: Whether the target is a function from REST to the component, whose signature may depend on it.
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
    source: Citation | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    threats: tuple[str, ...] = ()
    training: str = ""
    parameter: str = ""
    members: str = ""
    family: bool = False
