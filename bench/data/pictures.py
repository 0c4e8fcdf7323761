"""Image files as arrays of grey levels or RGB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError

SUFFIXES = frozenset(
    {
        ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm",
        ".pnm", ".gif", ".tga", ".jp2",
    }
)  # fmt: skip
"""Suffixes of files that are read, in lower case."""
GREY = ("1", "L", "LA", "La")
SCALED = 257
"""Factor from 8 to 16 bits: 65535 / 255."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One decoded file.

    Arguments:
        pixels: uint8, shape `(H, W)` for grey, else `(H, W, 3)`.
        transparent: Whether an alpha channel that is not constant was left out.
    """

    pixels: np.ndarray
    transparent: bool = False


def read_picture(file: Path) -> Picture:
    """Decodes a file: grey stays grey, 16 bits are scaled to 8, all else becomes RGB, alpha is left out.

    Raises:
        UserError: The file is damaged, or holds several pictures or pixels that do not fit 8 or 16 bits.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":  # MPO: a JPEG with its thumbnails
                raise UserError("picture-frames", file=file, frames=frames)
            return Picture(_pixels(image, file), _transparent(image))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UserError("picture-unreadable", file=file, error=error) from error


def _pixels(image: Any, file: Path) -> np.ndarray:
    if image.mode == "F" or image.mode.startswith("I"):  # `convert` would clip these instead of scaling
        levels = np.asarray(image)
        if image.mode == "F" or levels.min() < 0 or levels.max() > SCALED * 255:
            raise UserError("picture-mode", file=file, mode=image.mode, low=levels.min(), high=levels.max())
        return np.rint(levels / SCALED).astype(np.uint8)
    return np.asarray(image.convert("L" if image.mode in GREY else "RGB"))


def _transparent(image: Any) -> bool:
    if not (image.mode.endswith(("A", "a")) or "transparency" in image.info):
        return False
    low, high = image.convert("RGBA").getchannel("A").getextrema()
    return low != high
