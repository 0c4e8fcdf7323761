"""The only source of randomness: stateless noise, a pure function of (seed, sample id, purpose, draw, step)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.errors import UserError

PURPOSES = {
    "score": 0,
    "attack": 1,
    "start": 2,
    "tries": 3,
    "bank": 4,
    "check": 5,
    "resample": 6,
    "certify": 7,
    "confirm": 8,
}
"""Purposes of draws and their numbers. No attack uses draws of purpose `score`, unless they are known to it."""

_LOW = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox(counter: Tensor, key: tuple[int, int]) -> Tensor:
    """Philox4x32-10: four random words for each counter of four words.

    References:
        Parallel Random Numbers: As Easy as 1, 2, 3 (Salmon, Moraes, Dror, Shaw, 2011)
        https://doi.org/10.1145/2063384.2063405

    Arguments:
        counter: int64, shape `(4, ...)`, each in `[0, 2^32)`.
        key: Two words in `[0, 2^32)`.

    Returns:
        int64, the shape of `counter`, each in `[0, 2^32)`: the same on every device and torch release.
    """
    even = torch.stack((counter[0], counter[2]))  # the words that are multiplied
    odd = torch.stack((counter[3], counter[1]))  # the words that are mixed in, ordered by their target row
    column = (2,) + (1,) * (counter.dim() - 1)
    rounds = [
        [(word + k * bump) & _LOW for word, bump in zip(key[::-1], _WEYL[::-1], strict=True)] for k in range(_ROUNDS)
    ]
    # One copy to the device, not one per round: each copy makes the CPU wait for the GPU.
    factors, *keys = (row.view(column) for row in torch.tensor([_MULTIPLIERS, *rounds], device=counter.device))
    product, high = torch.empty_like(even), torch.empty_like(even)
    for words in keys:
        # Row 0 holds the words that become c2, row 1 those that become c0. Overflow of int64 gives the bits of uint64.
        torch.mul(even, factors, out=product)
        torch.bitwise_right_shift(product, 32, out=high)
        high.bitwise_and_(_LOW).bitwise_xor_(odd).bitwise_xor_(words)
        odd, product = product.bitwise_and_(_LOW), odd
        even = high.flip(0)
    return torch.stack((even[0], odd[1], even[1], odd[0]))


@dataclass(frozen=True, eq=False)
class Noise:
    """The noise of a batch: one stream per image, independent of batch, order, shard and recomputation.

    Arguments:
        seed: The run's seed, in `[0, 2^64)`.
        ids: Sample ids, int64 `(B,)` in `[0, 2^32)`.
        purpose: A key of `PURPOSES`.
        draw: Number of the draw, in `[0, 2^24)`; a tensor `(B,)` holds one per image.
    """

    seed: int
    ids: Tensor
    purpose: str = "score"
    draw: int | Tensor = 0

    def __post_init__(self) -> None:
        one = self.draw if isinstance(self.draw, int) else 0  # reading a tensor would wait for the device
        if self.purpose not in PURPOSES or not 0 <= one < 1 << 24 or not 0 <= self.seed < 1 << 64:
            raise ValueError(
                f"expected a purpose among {', '.join(PURPOSES)}, a draw in [0, 2^24) and a seed in [0, 2^64), "
                f"got {self.purpose!r}, {self.draw} and {self.seed}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Tensor | slice) -> Noise:
        """The noise of some rows of the batch: the same draws for the same images."""
        draw = self.draw if isinstance(self.draw, int) else self.draw[rows]
        return replace(self, ids=self.ids[rows], draw=draw)

    def of(self, purpose: str) -> Noise:
        """The draws of the same images for another purpose."""
        return replace(self, purpose=purpose)

    def at(self, draw: int) -> Noise:
        """The draw of the same images with another number."""
        return replace(self, draw=draw)

    def after(self, count: int) -> Noise:
        """The draw of the same images that comes `count` later."""
        return replace(self, draw=self.draw + count)

    def spread(self, draws: int) -> Noise:
        """`draws` consecutive draws as one batch: the first draw of all images, then the second of all, and so on."""
        if draws == 1:
            return self
        if isinstance(self.draw, int):
            self.at(self.draw + draws - 1)  # raises if the last draw is out of range
        rows = torch.arange(draws, device=self.ids.device).repeat_interleave(len(self.ids))
        first = self.draw if isinstance(self.draw, int) else self.draw.repeat(draws)
        return replace(self, ids=self.ids.repeat(draws), draw=first + rows)

    def ballots(self, votes: int) -> Noise:
        """The `votes` draws behind one aggregated draw, spread; different aggregated draws share none."""
        return replace(self, draw=self.draw * votes).spread(votes)

    def words(self, count: int, *, step: int = 0) -> Tensor:
        """Random 32-bit words, int64 `(4, B, ceil(count / 4))`: element j of row i lies at `[j % 4, i, j // 4]`."""
        blocks = torch.arange(math.ceil(count / 4), device=self.ids.device)
        rows, columns = len(self.ids), len(blocks)
        counter = torch.empty((4, rows, columns), dtype=torch.int64, device=self.ids.device)
        counter[0], counter[1] = blocks, step
        draw = self.draw if isinstance(self.draw, int) else self.draw[:, None]
        counter[2], counter[3] = self.ids[:, None], PURPOSES[self.purpose] << 24 | draw
        return philox(counter, (self.seed & _LOW, self.seed >> 32))

    def uniform(self, like: Tensor, *, step: int = 0) -> Tensor:
        """Uniform numbers in (0, 1), the shape and dtype of `like`; the same 24-bit values in every dtype.

        Arguments:
            like: Shape `(B, ...)`.
            step: Number of the tensor within the draw; tensors are independent.
        """
        size = math.prod(like.shape[1:])
        unit = _unit(self.words(size, step=step))
        return unit.permute(1, 2, 0).reshape(len(self.ids), -1)[:, :size].reshape(like.shape).to(like.dtype)

    def normal(self, like: Tensor, *, step: int = 0) -> Tensor:
        """Standard normal numbers, the shape and dtype of `like`, by Box and Muller's transform in float32.

        References:
            A Note on the Generation of Random Normal Deviates (Box, Muller, 1958)
            https://doi.org/10.1214/aoms/1177706645

        Arguments:
            like: Shape `(B, ...)`.
            step: Number of the tensor within the draw; tensors are independent.
        """
        size = math.prod(like.shape[1:])
        unit = _unit(self.words(size, step=step))
        radius, angle = unit[:2].log_().mul_(-2).sqrt_(), unit[2:].mul_(2 * math.pi)
        pairs = torch.stack((radius * angle.cos(), radius * angle.sin()))
        flat = pairs.permute(2, 0, 1, 3).reshape(len(self.ids), -1)[:, :size]
        return flat.reshape(like.shape).to(like.dtype)


class DrawnError(UserError, RuntimeError):
    """A defense that claims to be deterministic drew from its noise."""


class ForbiddenNoise(Noise):
    """Noise for a defense that claims to be deterministic: drawing from it raises an error."""

    def words(self, count: int, *, step: int = 0) -> Tensor:
        """Raises `DrawnError`."""
        raise DrawnError("noise-drawn")


def _unit(words: Tensor) -> Tensor:
    """Words to float32 in (0, 1): the upper 23 bits plus one half, so that 0 and 1 never occur."""
    return words.bitwise_right_shift(9).to(torch.float32).add_(0.5).mul_(2.0**-23)
