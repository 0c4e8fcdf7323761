"""What a user asks for: the parts of a run as names, objects or factories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.objects.classifiers import FOUND


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The parts that a user asks for: each a name, an object, a factory, or None for a default.

    Arguments:
        defense: The purifier; None for no purifier.
        attack: The attack.
        data: Images and labels.
        classifier: The classifier.
        score_model: The score model.
        normalize: The normalisation before a classifier.
        arguments: Arguments for names and factories, by role.
        device: Where to compute; None for where the objects are.
        data_dir: Folder of data sets.
    """

    defense: Any = None
    attack: Any = None
    data: Any = None
    classifier: Any = None
    score_model: Any = None
    normalize: Any = FOUND
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    device: str | None = None
    data_dir: Path | None = None

    @property
    def objects(self) -> tuple[Any, ...]:
        """The parts that are no names, data aside."""
        parts = (self.defense, self.attack, self.classifier, self.score_model)
        return tuple(part for part in parts if part is not None and not isinstance(part, str))

    @property
    def is_empty(self) -> bool:
        """Whether no part is asked for."""
        return all(part is None for part in (self.defense, self.attack, self.classifier, self.score_model, self.data))

    def given(self, role: str) -> dict[str, Any]:
        """The arguments for a role."""
        return dict(self.arguments.get(role) or {})
