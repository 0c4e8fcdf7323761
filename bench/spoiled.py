"""Counts of gradients and adversarial images that were not finite, and their columns in the record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

GRADIENT, IMAGE = "gradient not finite", "image of the attack not finite"
"""Flags of a line: a gradient was NaN, infinite or overflowed its type; a wrapped package returned such an image."""
COLUMNS = {GRADIENT: "gradients_not_finite", IMAGE: "images_not_finite"}
FINITE = "finite gradients"
"""Name of the check, made before a run, that the attacker's gradient is finite."""
ALLOWED = 0.01
"""Largest share of flagged images in a ranked row; above it, the accuracy says little about the defense."""


class Spoiled:
    """Counts, by flag and sample id, the gradients and images that were not finite during an attack."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[int]] = {}

    def note(self, flag: str, ids: Iterable[int], images: Any = None) -> None:
        """Adds one occurrence for each of these ids.

        Arguments:
            flag: `GRADIENT` or `IMAGE`.
            ids: Sample ids, one per occurrence.
            images: The images in question, for subclasses that identify rows without ids.
        """
        self.counts.setdefault(flag, Counter()).update(ids)

    def words(self, sample: int, remarks: Mapping[str, Any]) -> dict[str, Any]:
        """Columns of an image's line: the remarks of its attack, plus the flags and counts of this image."""
        found = {flag: counts[sample] for flag, counts in self.counts.items() if counts[sample]}
        if not found:
            return dict(remarks)
        counts = {COLUMNS[flag]: count for flag, count in found.items()}
        return {**remarks, "flags": [*remarks.get("flags", []), *found], **counts}


def share(flags: Mapping[str, int], images: int) -> float:
    """An upper bound on the share of images with such a flag.

    Arguments:
        flags: Number of images with each flag.
        images: Number of all images, at least 1.
    """
    return min(1.0, sum(flags.get(flag, 0) for flag in COLUMNS) / images)
