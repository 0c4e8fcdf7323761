"""Random changes of training images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Mirrors and shifts training images at random, each image by its own draw.

    Arguments:
        flip: Whether half of the images are mirrored left to right; the losses of classifiers do so anyway.
        shift: Pixels by which an image is moved at most, up or down and left or right; what enters is reflected at the edge.
    """

    flip: bool = False
    shift: int = 0

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The changed images; numbers are drawn from `generator` on the CPU."""
        x = flipped(x, generator) if self.flip else x
        return _shifted(x, self.shift, generator) if self.shift else x


def flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors each image with probability 1/2."""
    flip = (torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5).to(x.device)
    return torch.where(flip, x.flip(3), x)


def _shifted(x: Tensor, most: int, generator: torch.Generator) -> Tensor:
    count, _, height, width = x.shape
    offsets = torch.randint(2 * most + 1, (2, count, 1), generator=generator).to(x.device)
    rows = offsets[0] + torch.arange(height, device=x.device)
    columns = offsets[1] + torch.arange(width, device=x.device)
    padded = F.pad(x, (most, most, most, most), mode="reflect").permute(0, 2, 3, 1)
    chosen = padded[torch.arange(count, device=x.device)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return chosen.permute(0, 3, 1, 2).contiguous()
