"""The data set and the networks of a run, loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from bench.data.dataset import Dataset
from bench.plan.cache import Cache
from bench.plan.components import Components
from bench.plan.parts import Part, hashed, load_classifier, load_dataset, load_score
from bench.protocols import ScoreModel


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Data and networks of a run.

    Arguments:
        dataset: The images.
        classifier: The classifier.
        score: The score model, if the defense needs one.
        surrogate: The classifier that a transfer attack differentiates.
        sha256: Hashes of the networks' weights by role; None for a network without weights.
    """

    dataset: Dataset
    classifier: nn.Module
    score: ScoreModel | None
    surrogate: nn.Module | None
    sha256: Mapping[str, str | None]


def images_of(part: Part, data_dir: Path | None, cache: Cache) -> Dataset:
    """Loads a data set, or takes it from the cache."""
    return cache.get((part.key, data_dir), lambda: load_dataset(part, data_dir))


def load_components(components: Components, data_dir: Path | None, cache: Cache) -> Loaded:
    """Loads the data set and the networks, or takes them from the cache."""
    images = components.images.key, data_dir
    dataset = images_of(components.images, data_dir, cache)
    setting = {"data_dir": data_dir, "run_dataset": dataset, "threat": components.threat}

    def load(part: Part | None, factory: Callable[..., Any]) -> tuple[Any, str | None]:
        if part is None:
            return None, None
        return cache.get((part.key, *images, str(components.threat)), lambda: hashed(factory(part, setting)))

    classifier, classifier_sha256 = load(components.classifier, load_classifier)
    score, score_sha256 = load(components.score, load_score)
    surrogate, surrogate_sha256 = load(components.surrogate, load_classifier)
    return Loaded(
        dataset=dataset,
        classifier=classifier,
        score=score,
        surrogate=surrogate,
        sha256={"classifier": classifier_sha256, "score": score_sha256, "surrogate": surrogate_sha256},
    )
