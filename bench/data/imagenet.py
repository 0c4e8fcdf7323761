"""ImageNet: the 5,000 validation images of RobustBench, from a local folder."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.dataset import Dataset, balanced_order
from bench.errors import UserError
from bench.files.download import cache_folder, digest

IDS, CLASSES = "imagenet_test_image_ids.txt", "imagenet_class_to_id_map.json"
CHECKSUMS = {
    IDS: "d4121626d07722a0126c35b1563042e46a546f1a05ce705f2cdc635896d58574",
    CLASSES: "b1c9c3a901b0910ac844cabe252e7fe4b29b2660a4fbc448cb82f4e7e122b2d5",
}
PREPROCESSINGS = {"Res256Crop224": "bilinear", "BicubicRes256Crop224": "bicubic"}
SIDE, CROP = 256, 224
LOG = logging.getLogger("bench.imagenet")


def imagenet(data_dir: Path | None = None, *, preprocessing: str = "Res256Crop224") -> Dataset:
    """RobustBench's 5,000 validation images in class-balanced order; ids are positions in its list.

    As in RobustBench, the shorter side is resized to 256 and the central 224 x 224 pixels are kept. Decoded images are
    cached in the platform's cache folder (753 MB).

    References:
        RobustBench: a standardized adversarial robustness benchmark (Croce et al., 2021)
        https://arxiv.org/abs/2010.09670

    Arguments:
        data_dir: The folder of the validation images, with one folder per class (`n01440764`, ...), or its parent.
        preprocessing: A key of `PREPROCESSINGS`, as in the table of RobustBench's models.

    Raises:
        UserError: Images are missing or cannot be read.
    """
    if preprocessing not in PREPROCESSINGS:
        raise UserError("imagenet-preprocessing", names=PREPROCESSINGS, preprocessing=preprocessing)
    names, numbers = _published()
    root = _validation_folder(cache_folder(data_dir), names)
    labels = np.array([numbers[name.partition("/")[0]] for name in names], dtype=np.int64)
    order = balanced_order(labels)
    images = _images(root, [names[k] for k in order], preprocessing)
    suffix = "" if preprocessing == "Res256Crop224" else f"-{PREPROCESSINGS[preprocessing]}"
    classes = tuple(sorted(numbers, key=lambda name: numbers[name]))
    return Dataset(name=f"imagenet{suffix}", ids=order, images=images, labels=labels[order], classes=classes)


def imagenet_training(data_dir: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Raises `UserError`: the training images of ImageNet do not fit in memory, and the 5,000 are for scores."""
    raise UserError("imagenet-training")


def _published() -> tuple[list[str], dict[str, int]]:
    """The image names and class numbers, from the files of RobustBench, which is not imported."""
    found = importlib.util.find_spec("robustbench")
    places = list(found.submodule_search_locations or []) if found else []
    texts = {}
    for name, expected in CHECKSUMS.items():
        path = Path(places[0] if places else "robustbench") / "helper_files" / name
        if not path.exists() or digest(path, "sha256") != expected:
            raise UserError("imagenet-order", path=path)
        texts[name] = path.read_text()
    return texts[IDS].split(), json.loads(texts[CLASSES])


def _validation_folder(root: Path, names: list[str]) -> Path:
    missing: list[str] = []
    for folder in (root, root / "val"):
        missing = [name for name in names if not (folder / name).exists()]
        if len(missing) < len(names):
            break
    if missing:
        raise UserError("imagenet-folder", root=root, absent=len(missing), count=len(names), first=missing[0])
    return folder


def _images(root: Path, names: list[str], preprocessing: str) -> np.ndarray:
    """The images `(N, 3, 224, 224)` uint8, from the cache if the files have not changed."""
    cached = cache_folder(None) / "imagenet" / f"{_key(root, names, preprocessing)}.npy"
    if cached.exists():
        return np.load(cached, mmap_mode="r", allow_pickle=False)
    shape, part = (len(names), 3, CROP, CROP), cached.with_suffix(f".{os.getpid()}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        images = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
    except OSError:  # no space for a cache: decoded again each time
        return _decode(root, names, preprocessing, np.empty(shape, dtype=np.uint8))
    _decode(root, names, preprocessing, images).flush()
    part.replace(cached)
    return images


def _key(root: Path, names: list[str], preprocessing: str) -> str:
    import PIL

    value = hashlib.sha256(f"{root.resolve()} {preprocessing} {PIL.__version__}".encode())
    for name in names:
        stat = (root / name).stat()
        value.update(f"{name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return value.hexdigest()[:16]


def _decode(root: Path, names: list[str], preprocessing: str, images: Any) -> Any:
    for k, name in enumerate(names):
        images[k] = _read(root / name, preprocessing)
        if (k + 1) % 500 == 0:
            LOG.info("imagenet: %d of %d images decoded", k + 1, len(names))
    return images


def _read(path: Path, preprocessing: str) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import center_crop, resize

    try:
        with Image.open(path) as image:
            whole = image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise UserError("imagenet-image", path=path, error=error) from error
    part = center_crop(resize(whole, SIDE, InterpolationMode(PREPROCESSINGS[preprocessing])), CROP)
    return np.asarray(part).transpose(2, 0, 1)
