"""The adversarial images that a record stores: read without torch, and checked against the ball."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.threat import ThreatModel


@dataclass(frozen=True, eq=False)
class Evidence:
    """Stored adversarial images, in the order of their files.

    Arguments:
        ids: Sample ids, shape `(n,)`.
        images: Float32 `(n, C, H, W)`.
    """

    ids: np.ndarray
    images: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, ids: Sequence[int] | np.ndarray) -> Evidence:
        """The images of those of these ids that are stored, in the order of the ids."""
        row_of = {sample: row for row, sample in enumerate(self.ids.tolist())}
        rows = [row_of[sample] for sample in np.asarray(ids).tolist() if sample in row_of]
        return Evidence(self.ids[rows], self.images[rows])


def read_evidence(path: Path) -> Evidence | None:
    """The adversarial images of a record; None if it stores none.

    Raises:
        UserError: A file is damaged.
    """
    parts = [read_shard(file) for file in sorted((path / "adversarial").glob("*.safetensors"))]
    if not parts:
        return None
    return Evidence(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def read_shard(file: Path) -> tuple[np.ndarray, np.ndarray]:
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
        raise UserError("evidence-unreadable", file=file, error=error) from error
    if (
        ids.ndim != 1
        or images.ndim != 4
        or len(ids) != len(images)
        or ids.dtype != np.int64
        or images.dtype.kind != "f"
    ):
        raise UserError(
            "evidence-shape",
            file=file,
            ids_dtype=ids.dtype,
            ids_shape=ids.shape,
            images_dtype=images.dtype,
            images_shape=images.shape,
        )
    return ids, images


def ids_outside_ball(evidence: Evidence, dataset: Dataset, threat: ThreatModel) -> list[int]:
    """Ids of the images that are outside the ball around their original, or outside [0, 1], or not finite."""
    inside = distances(evidence, dataset, threat) <= threat.furthest
    inside &= ((evidence.images >= 0) & (evidence.images <= 1)).reshape(len(evidence), -1).all(axis=1)
    return evidence.ids[~inside].tolist()


def distances(evidence: Evidence, dataset: Dataset, threat: ThreatModel) -> np.ndarray:
    """How far each image is from its original, in the threat's norm and in float64, `(n,)`."""
    originals = dataset.floats(positions_of(evidence.ids, dataset)).astype(np.float64)
    delta = (evidence.images.astype(np.float64) - originals).reshape(len(evidence), -1)
    return np.linalg.norm(delta, ord=threat.order, axis=1)


def positions_of(ids: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Positions of sample ids in a data set.

    Raises:
        UserError: The data set has no such id.
    """
    position = {sample: place for place, sample in enumerate(dataset.ids.tolist())}
    strange = [sample for sample in ids.tolist() if sample not in position]
    if strange:
        raise UserError("evidence-other-data", dataset=dataset.name, id=strange[0])
    return np.array([position[sample] for sample in ids.tolist()], dtype=np.int64)
