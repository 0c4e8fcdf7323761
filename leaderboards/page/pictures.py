"""Pictures of runs that store their adversarial images: clean, adversarial, difference, purified, with predictions."""

from __future__ import annotations

import base64
import io
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


class Pictures:
    """Makes pictures, and keeps those that several runs share.

    Arguments:
        count: Images of each run: the first broken and the first unbroken ones, in turn.
        purifier: A function from a run and its evidence to the purified clean and adversarial images; None makes none.
    """

    def __init__(self, count: int, purifier: Callable[..., Any] | None = None) -> None:
        self.count, self.purifier = count, purifier
        self.shared: dict[str, dict[str, str]] = {}
        self.names: dict[str, list[str]] = {}

    def of_run(self, part: Entry) -> list[dict[str, Any]]:
        """One entry per image; none if the run stores no images."""
        if self.count < 1 or not any((Path(part.path) / "adversarial").glob("*.safetensors")):
            return []
        run = read_run(Path(part.path))
        evidence = read_evidence(run.path)
        dataset = _dataset(run)
        if evidence is None:
            return []
        evidence = evidence.of(_chosen(run, evidence.ids, self.count))
        if dataset is not None:
            self.names[dataset.name] = list(dataset.classes)
        pure = self.purifier(run, evidence) if self.purifier else None
        return [
            self._image(run, dataset, evidence.ids[place], evidence.images[place], pure, place)
            for place in range(len(evidence))
        ]

    def _image(
        self, run: Run, dataset: Dataset | None, sample: int, image: np.ndarray, pure: Any, place: int
    ) -> dict[str, Any]:
        row = run.row_of[int(sample)]
        made: dict[str, Any] = {
            "id": int(sample),
            "label": int(run.labels[row]),
            "clean": run.clean[row].tolist(),
            "adversarial": run.adversarial[row].tolist(),
            "picture": _png(image),
        }
        if dataset is not None:
            (position,) = np.flatnonzero(dataset.ids == sample)
            original = dataset.floats(np.array([position]))[0]
            self.shared.setdefault(dataset.name, {})[str(int(sample))] = _png(original)
            made |= _difference(image - original)
        if pure is not None:
            made |= {"pure": [_png(part[place]) for part in pure]}
        return made


def _chosen(run: Run, stored: np.ndarray, count: int) -> list[int]:
    """Broken and unbroken images in turn, of those that were right without the attack; then the others."""
    right, robust = run.shares("clean") > 0, run.shares("adversarial") >= 0.5
    kept = np.isin(run.ids, stored)
    broken, unbroken = (run.ids[kept & right & state].tolist() for state in (~robust, robust))
    turns = [sample for pair in zip(broken, unbroken, strict=False) for sample in pair]
    rest = [sample for sample in [*broken, *unbroken, *run.ids[kept].tolist()] if sample not in turns]
    return list(dict.fromkeys([*turns, *rest]))[:count]


def _difference(delta: np.ndarray) -> dict[str, Any]:
    """The perturbation around grey, magnified by a whole number so that its largest pixel fills most of the range."""
    largest = float(np.abs(delta).max())
    factor = max(1, int(0.5 / largest)) if largest > 0 else 1
    return {"difference": _png(0.5 + factor * delta), "factor": factor}


def _png(image: np.ndarray) -> str:
    """A data URL of an image `(C, H, W)` in [0, 1]."""
    from PIL import Image

    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    content = io.BytesIO()
    picture.save(content, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


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
