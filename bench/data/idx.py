"""Gzipped files in the IDX format of MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.files.download import cache_folder, fetch

IMAGES, LABELS = "{}-images-idx3-ubyte", "{}-labels-idx1-ubyte"


def idx_folder(kind: Any, data_dir: Path | None, split: str) -> Path:
    """The folder with the files of a split: flat or in torchvision's layout; missing files are downloaded there.

    Arguments:
        kind: `torchvision.datasets.MNIST` or a subclass, which has the addresses and md5 checksums of the files.
        data_dir: The folder to search; None for the platform's cache folder.
        split: `train` or `t10k`.
    """
    root = cache_folder(data_dir)
    names = [f"{pattern.format(split)}.gz" for pattern in (IMAGES, LABELS)]
    raw = root / kind.__name__ / "raw"
    for folder in (root, raw):
        if all((folder / name).exists() for name in names):
            return folder
    checksums = dict(kind.resources)
    for name in names:
        addresses = [mirror + name for mirror in kind.mirrors]
        advice = f"pass --data-dir FOLDER with {' and '.join(names)}"
        fetch(addresses, raw / name, checksum=f"md5:{checksums[name]}", advice=advice)
    return raw


def read_idx(folder: Path, split: str, checksums: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Images `(N, 1, 28, 28)` uint8 and labels `(N,)` int64 of a split.

    Arguments:
        folder: The folder with the two `.gz` files.
        split: `train` or `t10k`.
        checksums: `md5:...` by the name of a `.gz` file, or `sha256:...` of its content by the name without `.gz`.

    Raises:
        UserError: A file is missing, damaged or has a wrong checksum.
    """
    images = np.frombuffer(_read(folder, IMAGES.format(split), checksums), np.uint8, offset=16)
    labels = np.frombuffer(_read(folder, LABELS.format(split), checksums), np.uint8, offset=8)
    return images.reshape(-1, 1, 28, 28), labels.astype(np.int64)


def _read(folder: Path, name: str, checksums: dict[str, str]) -> bytes:
    path = folder / f"{name}.gz"
    try:
        packed = path.read_bytes()
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError("idx-unreadable", path=path, error=error) from error
    algorithm, _, expected = checksums[name if name in checksums else path.name].partition(":")
    hashed = content if algorithm == "sha256" else packed
    got = hashlib.new(algorithm, hashed, usedforsecurity=False).hexdigest()
    if got != expected:
        raise UserError("idx-changed", path=path, algorithm=algorithm, digest=expected[:12])
    return content
