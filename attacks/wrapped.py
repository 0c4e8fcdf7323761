"""What another package's attack is given: a plain module whose rows have no ids, and global random state of its own."""

from __future__ import annotations

import random  # noqa: TID251 - its state is kept from what foreign code does to it
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.defended import DefendedClassifier
from bench.noise import Noise
from bench.protocols import Images
from bench.spoiled import IMAGE, Spoiled

_SEED_BITS = 0x7FFFFFFF


class KeyedRows(nn.Module):
    """The attacker's view as a module from images to logits, for code that hands over rows and not image ids.

    Row i of call j has draw j of the shard's image i; more rows than the shard has images are so many more calls. A call
    that repeats the shard's rows therefore meets fresh draws, and the draws depend on the shard alone.

    The passes are counted as those of the images whose draws were taken: share them out with `Tally.level` afterwards.
    What is not finite is counted for the image of the shard that lies nearest, which is what an attack began at; that image
    stands in for a row with pixels that are not finite, and such a row gets no gradient.

    Arguments:
        model: The attacker's view.
        noise: One stream per image of the shard.
        x: The shard's images `(B, C, H, W)`, of the type that the run computes in.
    """

    def __init__(self, model: DefendedClassifier, noise: Noise, x: Images) -> None:
        super().__init__()
        self.owned = _Owned(model.spoiled, noise, x)
        self.model, self.noise, self.x, self.calls = model.reporting(self.owned), noise, x, 0
        self.eval()

    def forward(self, x: Images) -> Tensor:
        """Logits `(rows, classes)`, float32 and the caller's own, who may write into them."""
        size, x = len(self.noise), self._finite(x.to(self.x.dtype))
        parts = [self._part(x[start : start + size]) for start in range(0, len(x), size)]
        return torch.cat(parts).float()  # a copy

    def settled(self, found: Images) -> Images:
        """What an attack found of each image of the shard; the image itself where that is not finite."""
        return self._finite(found.detach().to(self.x), list(range(len(self.x))))

    def _finite(self, x: Images, owners: list[int] | None = None) -> Images:
        broken = ~torch.isfinite(x.detach()).flatten(1).all(dim=1)
        if not broken.any():
            return x
        places = self.owned.nearest(x.detach()) if owners is None else owners
        self.owned.spoiled.note(IMAGE, [self.owned.ids[places[row]] for row in broken.nonzero()[:, 0].tolist()])
        return torch.where(broken.view(-1, 1, 1, 1), self.x[places], x)

    def _part(self, x: Images) -> Tensor:
        call, self.calls = self.calls, self.calls + 1
        return self.model(x, self.noise[: len(x)].at(call))


class _Owned(Spoiled):
    """Counts for images of a shard what befell rows without ids.

    Arguments:
        spoiled: What counts.
        noise: One stream per image.
        x: The images.
    """

    def __init__(self, spoiled: Spoiled, noise: Noise, x: Images) -> None:
        self.spoiled, self.ids, self.x = spoiled, noise.ids.tolist(), x
        self.counts = spoiled.counts

    def nearest(self, rows: Images) -> list[int]:
        """The places in the shard of the images nearest to these rows, by the pixels that are finite."""
        return [int((row - self.x).nan_to_num(0, 0, 0).flatten(1).norm(dim=1).argmin()) for row in rows]

    def note(self, flag: str, ids: Iterable[int], images: Any = None) -> None:
        """Something was not finite at these images, whatever the ids under which they were evaluated."""
        self.spoiled.note(flag, [self.ids[place] for place in self.nearest(images)])


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
