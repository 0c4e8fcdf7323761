"""The model and the random state that attacks of other packages get: a plain module, and seeded global generators."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bench.defended import DefendedClassifier
from bench.keyed.generators import restored, seed_all
from bench.noise import Noise
from bench.protocols import Images
from bench.spoiled import IMAGE, Spoiled

_SEED_BITS = 0x7FFFFFFF


class KeyedRows(nn.Module):
    """The attacker's view as a module from images to logits, for code that passes rows without image ids.

    Row i of call j uses draw j of the shard's image i. More rows than the shard has images count as further calls. So a
    call that repeats the shard's rows gets fresh draws, and the draws depend on the shard alone.

    Passes are counted for the images whose draws were used; distribute them evenly with `Tally.level` afterwards. A value
    that is not finite is counted for the nearest image of the shard, since the attack started there. That image also
    replaces a row with pixels that are not finite, and such a row gets no gradient.

    Arguments:
        model: The attacker's view.
        noise: One stream per image of the shard.
        x: The shard's images `(B, C, H, W)`, in the dtype of the run.
    """

    def __init__(self, model: DefendedClassifier, noise: Noise, x: Images) -> None:
        super().__init__()
        self.owned = _Owned(model.spoiled, noise, x)
        self.model, self.noise, self.x, self.calls = model.reporting(self.owned), noise, x, 0
        self.eval()

    def forward(self, x: Images) -> Tensor:
        """Logits `(rows, classes)` in float32: a copy, which the caller may change."""
        size, x = len(self.noise), self._finite(x.to(self.x.dtype))
        parts = [self._part(x[start : start + size]) for start in range(0, len(x), size)]
        return torch.cat(parts).float()  # a copy

    def settled(self, found: Images) -> Images:
        """The results of an attack for the shard; the image itself where a result is not finite."""
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
    """Counts values that are not finite for images of the shard, although the rows have no ids.

    Arguments:
        spoiled: The counter.
        noise: One stream per image.
        x: The images.
    """

    def __init__(self, spoiled: Spoiled, noise: Noise, x: Images) -> None:
        self.spoiled, self.ids, self.x = spoiled, noise.ids.tolist(), x
        self.counts = spoiled.counts

    def nearest(self, rows: Images) -> list[int]:
        """The positions in the shard of the images nearest to these rows, by their finite pixels."""
        return [int((row - self.x).nan_to_num(0, 0, 0).flatten(1).norm(dim=1).argmin()) for row in rows]

    def note(self, flag: str, ids: Iterable[int], images: Any = None) -> None:
        """Counts the nearest images of the shard, whatever ids the rows were evaluated under."""
        self.spoiled.note(flag, [self.ids[place] for place in self.nearest(images)])


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seeds the global generators of torch, numpy and Python; restores them and the trace function at the end.

    Arguments:
        seed: In `[0, 2^31)`.
    """
    trace = sys.gettrace()
    with restored():
        try:
            seed_all(seed)
            yield
        finally:
            if sys.gettrace() is not trace:
                sys.settrace(trace)


def seed_of(noise: Noise) -> int:
    """A seed in `[0, 2^31)` for foreign code, from the first image's stream; no defense uses the same words."""
    return int(noise[:1].of("start").at(0).words(4)[0, 0, 0]) & _SEED_BITS
