"""The threat model: a norm and an exact radius."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from bench.errors import UserError

NORMS = {"linf": 1, "l2": 100, "l1": 10_000}
"""Largest radius of each norm, in pixel units."""
SMALLEST = Fraction(1, 1_000_000)
MOST_THREATS = 50
"""Largest number of threats in one list."""
TOLERANCE = 1e-5
"""Rounding error that is allowed outside the ball, relative to the radius."""


@dataclass(frozen=True)
class ThreatModel:
    """Perturbations of norm at most `eps` that keep the image in [0, 1].

    Arguments:
        norm: `linf`, `l2` or `l1`, over all pixels and channels of one image.
        eps: Radius in pixel units, an exact fraction: in [1e-6, 1] for `linf`, in [1e-6, 100] for `l2`,
            in [1e-6, 10000] for `l1`.

    Raises:
        UserError: Another norm, or a radius out of range.
    """

    norm: str
    eps: Fraction

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise UserError("threat-norm", norms=NORMS, norm=self.norm)
        largest = NORMS[self.norm]
        if not SMALLEST <= self.eps <= largest:
            raise UserError("threat-radius", largest=largest, norm=self.norm, eps=_short(self.eps))

    @classmethod
    def parse(cls, text: str) -> ThreatModel:
        """Reads `linf:8/255`, `linf:0.1` or `l2:0.5` without rounding.

        Raises:
            UserError: The text is not of that form, or the radius is out of range.
        """
        match = re.fullmatch(r"\s*(\w+)\s*:\s*(\S+)\s*", text)
        try:
            norm, eps = match.groups() if match else ("", "")
            return cls(norm.lower(), Fraction(eps)) if match else _malformed(text)
        except (ValueError, ZeroDivisionError, OverflowError):
            return _malformed(text)

    def __str__(self) -> str:
        return f"{self.norm}:{_text(self.eps)}"

    @property
    def slug(self) -> str:
        """The threat as a folder name: `linf-16-255`."""
        return f"{self.norm}-{_text(self.eps).replace('/', '-')}"

    @property
    def radius(self) -> float:
        """`eps` as a float."""
        return float(self.eps)

    @property
    def order(self) -> float:
        """The order of the norm for NumPy and PyTorch: infinity, 2 or 1."""
        return math.inf if self.norm == "linf" else float(self.norm.removeprefix("l"))

    @property
    def furthest(self) -> float:
        """The largest distance that counts as inside the ball, with a tolerance for rounding."""
        return self.radius * (1 + TOLERANCE) + 1e-7


def _malformed(text: str) -> ThreatModel:
    raise UserError("threat-form", text=text)


def _short(eps: Fraction) -> str:
    text = _text(eps)
    return text if len(text) < 20 else f"{float(eps):g}"


def _text(eps: Fraction) -> str:
    """Whole pixel levels over 255, else an exact decimal, else the fraction."""
    if (eps * 255).denominator == 1 and eps.denominator != 1:
        return f"{eps * 255}/255"
    decimal = repr(float(eps))
    exact = math.isfinite(float(eps)) and "e" not in decimal and Fraction(decimal) == eps
    return decimal.removesuffix(".0") if exact else str(eps)


def parse_threats(text: str) -> list[ThreatModel]:
    """Reads `linf:4/255,linf:8/255`; sorted by norm, smallest radius first.

    Raises:
        UserError: A part is no threat, a threat occurs twice, or there are more than 50.
    """
    threats = [ThreatModel.parse(part) for part in text.split(",")]
    if len(set(threats)) < len(threats) or len(threats) > MOST_THREATS:
        raise UserError("threat-list", most=MOST_THREATS, text=text)
    return sorted(threats, key=lambda threat: (threat.norm, threat.eps))
