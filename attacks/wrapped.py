"""What another package's attack is given: a plain module whose rows have no ids, and global random state of its own."""

from __future__ import annotations

import random  # noqa: TID251 - its state is kept from what foreign code does to it
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from bench.defended import DefendedClassifier
from bench.noise import Noise
from bench.protocols import Images

_SEED_BITS = 0x7FFFFFFF


class KeyedRows(nn.Module):
    """The attacker's view as a module from images to logits, for code that hands over rows and not image ids.

    Row i of call j has draw j of the shard's image i; more rows than the shard has images are so many more calls. A call
    that repeats the shard's rows therefore meets fresh draws, and the draws depend on the shard alone.

    The passes are counted as those of the images whose draws were taken: share them out with `Tally.level` afterwards.

    Arguments:
        model: The attacker's view.
        noise: One stream per image of the shard.
        dtype: What the run computes in.
    """

    def __init__(self, model: DefendedClassifier, noise: Noise, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.model, self.noise, self.dtype, self.calls = model, noise, dtype, 0
        self.eval()

    def forward(self, x: Images) -> Tensor:
        """Logits `(rows, classes)`, float32 and the caller's own, who may write into them."""
        size = len(self.noise)
        parts = [self._part(x[start : start + size].to(self.dtype)) for start in range(0, len(x), size)]
        return torch.cat(parts).float()  # a copy

    def _part(self, x: Images) -> Tensor:
        call, self.calls = self.calls, self.calls + 1
        return self.model(x, self.noise[: len(x)].at(call))


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seeds the global generators of torch, numpy and Python; restores them, and the trace function, even after an error.

    Arguments:
        seed: In `[0, 2^31)`.
    """
    cuda = torch.cuda.is_initialized()
    python_state, numpy_state, trace = random.getstate(), np.random.get_state(), sys.gettrace()  # noqa: NPY002
    torch_state, cuda_states = torch.get_rng_state(), torch.cuda.get_rng_state_all() if cuda else []
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002, TID251 - foreign code draws from it
        torch.default_generator.manual_seed(seed)
        for generator in torch.cuda.default_generators if cuda else ():
            generator.manual_seed(seed)
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)
        if cuda:
            torch.cuda.set_rng_state_all(cuda_states)
        if sys.gettrace() is not trace:
            sys.settrace(trace)


def seed_of(noise: Noise) -> int:
    """A seed in `[0, 2^31)` for foreign code, from the first image's stream; no draw of a defense shares its words."""
    return int(noise[:1].of("start").at(0).words(4)[0, 0, 0]) & _SEED_BITS
