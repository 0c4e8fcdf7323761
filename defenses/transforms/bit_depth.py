"""Fewer bits per pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.errors import UserError
from bench.noise import Noise
from bench.protocols import Images


@dataclass(frozen=True, kw_only=True)
class BitDepth:
    """Rounds pixels to `2^bits` evenly spaced values; not differentiable.

    References:
        Countering Adversarial Images using Input Transformations (Guo, Rana, Cisse, van der Maaten, 2018)
        https://arxiv.org/abs/1711.00117

    Arguments:
        bits: Bits per channel, 1 to 16; the paper uses 3.

    Raises:
        UserError: `bits` is out of its range.
    """

    deterministic: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False

    bits: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise UserError("bit-depth-bits", bits=self.bits)

    def purify(self, x: Images, noise: Noise) -> Images:
        """The rounded images."""
        levels = 2**self.bits - 1
        return (x * levels).round() / levels
