"""No purifier at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.noise import Noise
from bench.protocols import Images


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Shows the classifier the image as it is: the undefended row that every table needs."""

    deterministic: ClassVar[bool] = True

    def purify(self, x: Images, noise: Noise) -> Images:
        """The images themselves."""
        return x
