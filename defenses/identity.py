"""No purifier: the undefended classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.noise import Noise
from bench.protocols import Images


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Gives the classifier the unchanged image: the undefended row that every table needs."""

    deterministic: ClassVar[bool] = True

    def purify(self, x: Images, noise: Noise) -> Images:
        """The images themselves."""
        return x
