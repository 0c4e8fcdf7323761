"""Data sets of other packages: torch Datasets and DataLoaders, and splits of Hugging Face `datasets`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, Subset
from torch.utils.data import Dataset as TorchDataset

from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.objects.forms import kind_of, refuse
from bench.objects.images import dataset_from
from bench.registry.given import Given, given

FORMS = "a name, (images, labels), a torch Dataset or DataLoader, or a split of Hugging Face datasets"
LARGEST = 4 * 1024**3
"""Bytes of floats that are read into memory at most."""
_IMAGES, _LABELS = ("image", "img", "images", "pixel_values"), ("label", "labels", "fine_label", "target")


class Loaded:
    """Gives a data set.

    Arguments:
        dataset: The data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __call__(self, **_: object) -> Dataset:
        """The data set."""
        return self.dataset


def find_data(part: Any) -> Given:
    """The component of a data set in any form.

    Arguments:
        part: See `FORMS`; also a `bench.data.dataset.Dataset`.

    Raises:
        UserError: It is no data set, or its images or labels are of the wrong form.
    """
    dataset = _dataset(part)
    return given("datasets", dataset.name, Loaded(dataset), values={}, label=dataset.name, sha256=dataset.sha256)


def is_in_memory(part: Any) -> bool:
    """Whether all images are in memory already, so that all of them are meant."""
    return isinstance(part, tuple | list | Mapping)


def _dataset(part: Any) -> Dataset:
    if isinstance(part, Dataset):
        return part
    if isinstance(part, Tensor | np.ndarray):
        raise UserError("data-without-labels")
    if isinstance(part, Mapping) and {"images", "labels"} <= part.keys():
        part = part["images"], part["labels"]
    if isinstance(part, tuple | list) and len(part) == 2:
        return dataset_from(*part)
    if isinstance(part, Mapping) and any(hasattr(inner, "features") for inner in part.values()):
        raise UserError("data-of-splits", splits=", ".join(part), first=next(iter(part)))
    if hasattr(part, "features") and hasattr(part, "column_names"):
        return _of_split(part)
    if isinstance(part, DataLoader):
        return _of_loader(part)
    if isinstance(part, TorchDataset):
        size = len(part)  # type: ignore[arg-type]
        return _of_pairs((part[place] for place in range(size)), size, part)
    refuse("data", part, FORMS)


def _of_loader(loader: DataLoader[Any]) -> Dataset:
    if isinstance(loader.sampler, RandomSampler):
        raise UserError("loader-shuffles")
    rows = chain.from_iterable(zip(images, labels, strict=True) for images, labels in map(_pair, loader))
    return _of_pairs(rows, len(loader.dataset), loader.dataset)  # type: ignore[arg-type]


def _of_split(split: Any) -> Dataset:
    """A split of Hugging Face `datasets`: the columns of its image and of its class label."""
    kinds = {name: type(kind).__name__ for name, kind in split.features.items()}
    image = _column(kinds, "Image", _IMAGES, "images")
    label = _column(kinds, "ClassLabel", _LABELS, "labels")
    rows = ((row[image], row[label]) for row in split)
    info = getattr(split, "info", None)
    name = getattr(info, "dataset_name", None) or getattr(split, "builder_name", None) or "images"
    return _of_pairs(rows, len(split), split, name=name, classes=getattr(split.features[label], "names", None))


def _column(kinds: Mapping[str, str], wanted: str, names: Sequence[str], what: str) -> str:
    """The one column of a kind, else the first with a usual name."""
    fitting = [name for name, kind in kinds.items() if kind == wanted]
    usual = [name for name in names if name in (fitting or kinds)]
    if len(fitting) == 1 or usual:
        return fitting[0] if len(fitting) == 1 else usual[0]
    raise UserError(
        "column-missing", what=what, names=names, columns=", ".join(kinds), old=next(iter(kinds), "NAME"), new=names[0]
    )


def _of_pairs(
    rows: Iterable[Any], count: int, part: Any, *, name: str | None = None, classes: Sequence[str] | None = None
) -> Dataset:
    images, labels = _stacked(rows, count)
    inner = part
    while isinstance(inner, Subset):
        inner = inner.dataset
    named = classes or getattr(inner, "classes", None)
    return dataset_from(images, labels, name=name or type(inner).__name__.lower(), classes=named)


def _stacked(rows: Iterable[Any], count: int) -> tuple[Tensor, Tensor]:
    images, labels = list[Tensor](), list[int]()
    for image, label in map(_pair, rows):
        tensor = _image(image)
        if images and tensor.shape != images[0].shape:
            raise UserError(
                "images-sizes", shape=tuple(images[0].shape), other=tuple(tensor.shape), position=len(images)
            )
        if not images and tensor.numel() * 4 * count > LARGEST:
            raise UserError("data-too-large", largest=LARGEST >> 30, count=count, shape=tuple(tensor.shape))
        images.append(tensor)
        labels.append(int(label))
    if not images:
        raise UserError("data-none")
    return torch.stack(images), torch.tensor(labels)


def _pair(row: Any) -> tuple[Any, Any]:
    if isinstance(row, tuple | list) and len(row) == 2:
        return row[0], row[1]
    if isinstance(row, Mapping):
        image, label = (next((row[name] for name in names if name in row), None) for names in (_IMAGES, _LABELS))
        if image is not None and label is not None:
            return image, label
    raise UserError("data-rows", got=kind_of(row))


def _image(image: Any) -> Tensor:
    """One image as floats `(C, H, W)`; pictures and uint8 arrays of pictures are divided by 255."""
    if isinstance(image, Tensor):
        return image.detach().cpu()
    array = np.asarray(image)
    if array.dtype == np.uint8 and hasattr(image, "getbands"):  # a picture
        array = array.astype(np.float32) / np.float32(255)
        return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())
    return torch.from_numpy(array)
