"""Stored adversarial images for the page: each run's as compressed differences from the clean images, which runs share."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.data import TABLE
from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.figures.runs import Run, read_run
from bench.records.evidence import read_evidence
from bench.registry.registry import Registry
from leaderboards.entries import Entry

LEAST, VALUES = 8, 150_000
"""Without a number, a run shows as many images as have so many values together, and at least so many images."""


class Evidences:
    """Collects the stored images of runs, and the clean images that belong to them.

    Arguments:
        count: Images of each run, in the order of the record; None fits it to their size.
        purifier: A function from a run and its evidence to the purified clean and adversarial images; None makes none.
    """

    def __init__(self, count: int | None, purifier: Callable[..., Any] | None = None) -> None:
        self.count, self.purifier = count, purifier
        self._used: dict[str, tuple[Dataset, dict[int, None]]] = {}

    def of_run(self, part: Entry) -> dict[str, Any] | None:
        """Predictions and pixels of the first images of a run; None if it stores none."""
        path = Path(part.path)
        if self.count == 0 or not any((path / "adversarial").glob("*.safetensors")):
            return None
        run, stored = read_run(path), read_evidence(path)
        if stored is None:
            return None
        count = self.count or max(LEAST, VALUES // stored.images[0].size)
        stored = stored.of(run.ids[np.isin(run.ids, stored.ids)][:count])
        rows = [run.row_of[sample] for sample in stored.ids.tolist()]
        dataset, pixels = _dataset(run), _bytes(stored.images)
        if dataset is not None:
            self._used.setdefault(_key(dataset), (dataset, {}))[1].update(dict.fromkeys(stored.ids.tolist()))
            pixels = pixels - _clean(dataset, stored.ids)  # modulo 256, which loses nothing
        pure = self.purifier(run, stored) if self.purifier else None
        return {
            "dataset": dataset and _key(dataset),
            "shape": list(stored.images.shape[1:]),
            "ids": stored.ids.tolist(),
            "labels": run.labels[rows].tolist(),
            "clean": run.clean[rows].tolist(),
            "adversarial": run.adversarial[rows].tolist(),
            "pixels": _packed(pixels),
            **({} if pure is None else {"pure": [_packed(_bytes(images)) for images in pure]}),
        }

    def datasets(self) -> dict[str, dict[str, Any]]:
        """The clean images behind the runs so far, and the names of their classes, for each data set."""
        return {key: _shared(dataset, np.array([*ids])) for key, (dataset, ids) in self._used.items()}


def _shared(dataset: Dataset, ids: np.ndarray) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "names": list(dataset.classes),
        "ids": ids.tolist(),
        "pixels": _packed(_clean(dataset, ids)),
    }


def _key(dataset: Dataset) -> str:
    return dataset.sha256[:12]


def _clean(dataset: Dataset, ids: np.ndarray) -> np.ndarray:
    order = np.argsort(dataset.ids)
    return _bytes(dataset.floats(order[np.searchsorted(dataset.ids, ids, sorter=order)]))


def _bytes(images: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)


def _packed(pixels: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(pixels.tobytes(), 9)).decode()


def _dataset(run: Run) -> Dataset | None:
    """The run's data set, if it is available and has the recorded content."""
    dataset = _load(run.header.labels.dataset or run.spec.dataset.name)
    return dataset if dataset is not None and dataset.sha256 == run.spec.dataset.sha256 else None


@cache
def _load(name: str) -> Dataset | None:
    try:
        found = Registry({"datasets": TABLE}).find("datasets", name)
        made = found.load()(**found.entry.args)
    except (UserError, TypeError):
        return None
    return made if isinstance(made, Dataset) else None
