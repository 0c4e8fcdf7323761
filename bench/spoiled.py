"""Images at which an attack met a gradient, or made an image, that was not finite: counted, and what lines say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

GRADIENT, IMAGE = "gradient not finite", "image of the attack not finite"
"""What a line is flagged with: a gradient was NaN, infinite or too long for its type; a package handed over such an image."""
COLUMNS = {GRADIENT: "gradients_not_finite", IMAGE: "images_not_finite"}
FINITE = "finite gradients"
"""The name of the check that judges, before a run, whether the attacker's gradient is finite."""
ALLOWED = 0.01
"""Share of the images with such a flag above which the number says little of the defense: its row is not ranked."""


class Spoiled:
    """Counts, by image, what was not finite while it was attacked.

    Arguments:
        counts: By flag and sample id; only what occurred is there.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counter[int]] = {}

    def note(self, flag: str, ids: Iterable[int], images: Any = None) -> None:
        """Something was not finite, once for each of these ids.

        Arguments:
            flag: `GRADIENT` or `IMAGE`.
            ids: Sample ids, one per occurrence.
            images: Where, for those who have to tell rows without ids apart.
        """
        self.counts.setdefault(flag, Counter()).update(ids)

    def words(self, sample: int, said: Mapping[str, Any]) -> dict[str, Any]:
        """What the line of an image says: what its attack said, and a flag and a count of each thing that occurred."""
        found = {flag: counts[sample] for flag, counts in self.counts.items() if counts[sample]}
        if not found:
            return dict(said)
        counts = {COLUMNS[flag]: count for flag, count in found.items()}
        return {**said, "flags": [*said.get("flags", []), *found], **counts}


def share(flags: Mapping[str, int], images: int) -> float:
    """The share of the images that carry one of these flags, at most.

    Arguments:
        flags: On how many images each flag is.
        images: Their number, at least 1.
    """
    return min(1.0, sum(flags.get(flag, 0) for flag in COLUMNS) / images)
