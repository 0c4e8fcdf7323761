"""Images on which the conformance kit tries a defense or an attack."""

from __future__ import annotations

import torch
from torch import nn

from bench.noise import Noise
from bench.protocols import Images


def default_images(count: int = 6) -> Images:
    """Smooth random grey images, some pixels black or white; float32 `(count, 1, 28, 28)` in [0, 1]."""
    noise = Noise(0, torch.arange(count), "check").normal(torch.empty(count, 1, 7, 7))
    return nn.functional.interpolate(noise, scale_factor=4, mode="bicubic").mul(0.4).add(0.5).clamp(0, 1)


def probes(x: Images) -> dict[str, Images]:
    """Images on which derivatives often fail, by name; each batch has the shape and dtype of `x`."""
    grey = torch.arange(len(x), device=x.device).view(-1, 1, 1, 1).expand_as(x) * 17 / 255
    striped = torch.where(torch.arange(x.shape[3], device=x.device) % 4 < 2, x.round(), 0)
    return {
        "the images": x,
        "8-bit images": (255 * x).round() / 255,
        "images with flat parts": (4 * x).round() / 4,
        "images of one grey": grey.to(x.dtype),
        "black images": torch.zeros_like(x),
        "white images": torch.ones_like(x),
        "black and white stripes": striped,
    }
