"""A purifier whose draws from torch, NumPy and Python are functions of image, purpose and number of the draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, ClassVar, Final, Literal, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.keyed.draws import START, KeyedDraws, not_by_rows, rewound
from bench.keyed.generators import KINDS, forked, global_state, held_by, same_state
from bench.keyed.wrapped import Wrapped
from bench.noise import Noise
from bench.protocols import Defense, Images

Means: TypeAlias = Literal["operations", "image by image"]
OPERATIONS: Final = "operations"
ALONE: Final = "image by image"
MEANS: tuple[Means, ...] = (OPERATIONS, ALONE)
"""The means to key foreign draws, the faster one first."""
SEEDS = (1 << 32) - 1
"""Step of the words that seed generators. No purifier's own draws have it."""

Fork = Callable[[], AbstractContextManager[None]]
"""Makes a context in which the generators are in the state that belongs to some images."""


class Keyed(Wrapped):
    """A purifier with keyed draws; everything but `purify` is that of the purifier itself.

    By `operations`, whole batches are purified, and each row of a random tensor is drawn from the stream of its image. By
    `image by image`, each image is purified alone, with all generators seeded from its stream, as by

        torch.manual_seed(a), numpy.random.seed(b), random.seed(c).

    The generators are restored afterwards. The backward pass runs in the same context, so that what it computes again draws
    the same numbers.

    Arguments:
        inner: The purifier, which claims to be stochastic.
        means: One of `MEANS`.
    """

    deterministic: ClassVar[bool] = False

    def __init__(self, inner: Defense, means: Means) -> None:
        super().__init__(inner)
        self.means, self.held = means, held_by(inner)

    def purify(self, x: Images, noise: Noise) -> Images:
        """The purified images.

        Raises:
            ForeignDrawsError: In a batch, a draw has no row for each image.
        """
        if self.means == ALONE:
            return self._one_by_one(x, noise)
        return self._within(partial(self._by_rows, noise), x, noise)

    def _one_by_one(self, x: Images, noise: Noise) -> Images:
        parts: list[Images] = []
        first: dict[tuple[int, int], int] = {}  # chunks are padded with copies of an image
        words = noise.words(2 * self._seeds, step=SEEDS).permute(1, 2, 0).flatten(1).tolist()
        draws = noise.draw if isinstance(noise.draw, Tensor) else torch.full_like(noise.ids, noise.draw)
        for row, key in enumerate(zip(noise.ids.tolist(), draws.tolist(), strict=True)):
            twin = first.setdefault(key, row)
            if twin != row and torch.equal(x[twin], x[row]):
                parts.append(parts[twin].detach())
                continue
            seeds = [high >> 1 << 32 | low for high, low in zip(words[row][::2], words[row][1::2], strict=True)]
            fork = partial(forked, seeds, self.held)
            parts.append(self._within(fork, x[row : row + 1], noise[row : row + 1]))
        return torch.cat(parts)

    @property
    def _seeds(self) -> int:
        """The number of seeds: one for each kind of global generators and for each one that is held."""
        return KINDS + len(self.held)

    @contextmanager
    def _by_rows(self, noise: Noise) -> Iterator[None]:
        """Context in which draws are taken apart into rows; nothing else may draw."""
        with forked([START] * self._seeds, self.held):
            before = global_state(self.held)
            with KeyedDraws(noise):
                yield
            if not (rewound() and same_state(before, global_state(self.held))):
                raise not_by_rows("numbers from NumPy, Python or a compiled function")

    def _within(self, fork: Fork, x: Images, noise: Noise) -> Images:
        """The purified images, computed within a context; so is their derivative."""
        if not (x.requires_grad and torch.is_grad_enabled()):
            with fork():
                return self.inner.purify(x, noise)
        leaf = x.detach().requires_grad_()
        with fork():
            pure = self.inner.purify(leaf, noise)
        if not isinstance(pure, Tensor) or not pure.requires_grad:
            return pure
        return _Replayed.apply(x, (leaf, pure, fork))


class _Replayed(torch.autograd.Function):
    """Images that were computed within a context, whose backward pass runs within the same context.

    It is a backward pass inside the outer one, so that the context holds in every thread that autograd computes it in.
    """

    @staticmethod
    def forward(ctx: Any, x: Images, parts: tuple[Images, Images, Fork]) -> Images:
        ctx.parts = parts
        return parts[1].detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, None]:
        leaf, pure, fork = ctx.parts
        keep = torch._C._autograd._get_current_graph_task_keep_graph()
        with fork():
            (gradient,) = torch.autograd.grad(pure, leaf, v, retain_graph=keep, allow_unused=True)
        return gradient, None
