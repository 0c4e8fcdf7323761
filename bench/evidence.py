"""The adversarial images of one shard, as a record keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.documents import printable
from bench.errors import UserError


def read_evidence(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Sample ids `(B,)` and adversarial images `(B, C, H, W)` of one shard.

    Raises:
        UserError: The file is absent or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(file)
        ids, images = arrays["ids"], arrays["images"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"expected adversarial images in {printable(file)}, got: {printable(error)}; restore the file, or move the record away to run again"
        ) from error
    if (
        ids.ndim != 1
        or images.ndim != 4
        or len(ids) != len(images)
        or ids.dtype != np.int64
        or images.dtype.kind != "f"
    ):
        raise UserError(
            f"expected ids (B,) and images (B, C, H, W) in {printable(file)}, got {ids.dtype}{ids.shape} and {images.dtype}{images.shape}; restore the file, or move the record away to run again"
        )
    return ids, images
