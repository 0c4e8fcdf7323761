"""The publications of defenses, as their entries in the registry name them."""

from __future__ import annotations

from functools import cache

from bench.records.spec import Component
from bench.registry.entry import Citation
from bench.registry.tables import make_registry


def source_of(defense: Component) -> Citation | None:
    """The publication of a built-in defense; None for one of other code, even of the same name, and for one without."""
    found = _table().get(defense.name)
    return found if defense.content is None else None


@cache
def _table() -> dict[str, Citation]:
    entries = make_registry().tables["defenses"]
    return {name: entry.source for name, entry in entries.items() if entry.source}
