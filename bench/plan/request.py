"""The request for a run, by names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.records.command import given_arguments
from bench.records.header import Header
from bench.threat import ThreatModel

if TYPE_CHECKING:
    from bench.keyed import Means


@dataclass(frozen=True, kw_only=True)
class Request:
    """A requested run, by names; None stands for the default of the data set or of the defense.

    Arguments:
        defense: Name of the defense.
        attack: Name of the attack.
        dataset: Name of the data set.
        classifier: Name of the classifier.
        score_model: Name of the score model.
        threat: Threat model.
        draws: Fresh draws per image in the score.
        seed: Seed of all draws.
        data_dir: Folder of data sets, also for downloads.
        arguments: Arguments by kind of component (`defenses`, `attacks`, `classifiers`, `score_models`).
        image_by_image: Whether each image runs alone, for a defense whose result depends on the batch; part of the run id.
        keyed: The means by which foreign draws are keyed; found out before the run if None.
    """

    defense: str = "dpsam"
    attack: str = "pgd-full"
    dataset: str = "fashion-mnist"
    classifier: str | None = None
    score_model: str | None = None
    threat: ThreatModel | None = None
    draws: int | None = None
    seed: int = 0
    data_dir: Path | None = None
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    image_by_image: bool = False
    keyed: Means | None = None


def request_of(header: Header, data_dir: Path | None = None, *, defaults: bool = False) -> Request:
    """The request that made the record of this header.

    Arguments:
        header: The record's header.
        data_dir: Folder of data sets.
        defaults: Whether arguments of defense and attack that were left to their defaults take the current defaults.
    """
    spec, labels, score = header.spec, header.labels, header.spec.score_model
    given = given_arguments if defaults else (lambda part, _: part.args)
    arguments = {
        "defenses": given(spec.defense, labels.defense),
        "attacks": given(spec.attack, labels.attack),
        "classifiers": spec.classifier.args,
    }
    return Request(
        defense=spec.defense.name,
        attack=spec.attack.name,
        dataset=labels.dataset or spec.dataset.name,
        classifier=spec.classifier.name,
        score_model=score.name if score else None,
        threat=ThreatModel.parse(spec.threat),
        draws=spec.draws,
        seed=spec.seed,
        data_dir=data_dir,
        arguments=arguments | ({"score_models": score.args} if score else {}),
        image_by_image=spec.batch_size is not None,
        keyed=spec.keyed,
    )
