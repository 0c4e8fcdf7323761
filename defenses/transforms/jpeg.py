"""JPEG compression by the real codec."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from PIL import Image

from bench.errors import UserError
from bench.noise import Noise
from bench.protocols import Images

MODES = {1: "L", 3: "RGB"}
"""Pillow's mode for each number of channels."""


@dataclass(frozen=True, kw_only=True)
class JPEG:
    """Rounds to 8 bits, compresses and decompresses with Pillow's codec, on the CPU; not differentiable.

    References:
        Countering Adversarial Images using Input Transformations (Guo, Rana, Cisse, van der Maaten, 2018)
        https://arxiv.org/abs/1711.00117

    Arguments:
        quality: Quality of the codec, 1 to 100; the paper uses 75. Colour is stored at half resolution, the codec's default.

    Raises:
        UserError: `quality` is out of its range, or images are neither grey nor of three channels.
    """

    deterministic: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False

    quality: int = 75

    def __post_init__(self) -> None:
        check_quality(self.quality)

    def purify(self, x: Images, noise: Noise) -> Images:
        """The decompressed images."""
        check_channels(x)
        pixels = (x.detach() * 255).round().to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
        back = np.stack([self._through(image) for image in pixels])
        return torch.from_numpy(back).permute(0, 3, 1, 2).to(x.device, x.dtype) / 255

    def _through(self, pixels: np.ndarray) -> np.ndarray:
        height, width, channels = pixels.shape
        file = io.BytesIO()
        image = pixels[..., 0] if channels == 1 else pixels
        Image.fromarray(np.ascontiguousarray(image), MODES[channels]).save(file, "JPEG", quality=self.quality)
        return np.asarray(Image.open(file)).reshape(height, width, channels)


def check_quality(quality: int) -> None:
    """Raises `UserError` if the codec does not have this quality."""
    if not 1 <= quality <= 100:
        raise UserError("jpeg-quality", quality=quality)


def check_channels(x: Images) -> None:
    """Raises `UserError` if JPEG cannot store this number of channels."""
    if x.shape[1] not in MODES:
        raise UserError("jpeg-channels", channels=x.shape[1])
