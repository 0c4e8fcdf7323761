"""The parts of a run as the Python functions take them: names, objects and factories, resolved to components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.machine.device import pick_device
from bench.objects.arguments import name_of
from bench.objects.classifiers import FOUND, device_of, find_classifier, find_score
from bench.objects.data import find_data, is_in_memory
from bench.objects.forms import refuse
from bench.objects.identity import code_sha256
from bench.objects.purifiers import find_defense, needs_score, score_of
from bench.plan.cache import Cache
from bench.plan.loaded import images_of
from bench.plan.parts import Part
from bench.records.header import Header
from bench.registry.entry import ARGUMENTS, KIND_OF
from bench.registry.given import given
from bench.registry.registry import Found, Registry
from bench.registry.tables import make_registry

TRIED = 2
"""Images on which a purifier without a claim is tried."""
ROLES = ("defense", "attack", "data", "classifier", "score_model")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The parts that a user asks for: each a name, an object, a factory, or None for a default.

    Arguments:
        defense: The purifier; None for no purifier.
        attack: The attack.
        data: Images and labels.
        classifier: The classifier.
        score_model: The score model.
        normalize: The normalisation before a classifier.
        arguments: Arguments for names and factories, by role.
        device: Where to compute; None for where the objects are.
        data_dir: Folder of data sets.
    """

    defense: Any = None
    attack: Any = None
    data: Any = None
    classifier: Any = None
    score_model: Any = None
    normalize: Any = FOUND
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    device: str | None = None
    data_dir: Path | None = None

    @property
    def objects(self) -> tuple[Any, ...]:
        """The parts that are no names, data aside."""
        parts = (self.defense, self.attack, self.classifier, self.score_model)
        return tuple(part for part in parts if part is not None and not isinstance(part, str))

    def given(self, role: str) -> dict[str, Any]:
        """The arguments for a role."""
        return dict(self.arguments.get(role) or {})


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The components behind what a user asks for.

    Arguments:
        registry: Finds names, and the objects by their names.
        names: The name of each role, for a request; None for a default.
        arguments: Arguments of the components that are found by name, by kind.
        device: Where to compute.
        in_memory: Whether the images were given as one tensor or array.
        cache: What is loaded already.
    """

    registry: Registry
    names: dict[str, str | None]
    arguments: dict[str, dict[str, Any]]
    device: str
    in_memory: bool
    cache: Cache


def find_parts(asked: Asked) -> Parts:
    """Finds all parts; objects are examined, names are looked up.

    Raises:
        UserError: A name is unknown, or an object is of the wrong kind.
    """
    finder = _Finder(asked)
    found = {role: finder.find(role) for role in ("data", "classifier", "score_model", "defense", "attack")}
    objects = [part for part in found.values() if isinstance(part, Found)]
    named = {role: part.name if isinstance(part, Found) else part for role, part in found.items()}
    _check_defaults(named, found)
    finished = {
        KIND_OF[key] for key in KIND_OF if isinstance(found[_role(key)], Found) and found[_role(key)].values is not None
    }
    arguments = {kind: asked.given(_role(key)) for key, kind in KIND_OF.items() if kind not in finished | {"datasets"}}
    return Parts(
        registry=Registry(finder.registry.tables, objects),
        names={"dataset": named.pop("data"), **named},
        arguments=arguments,
        device=finder.device,
        in_memory=is_in_memory(asked.data),
        cache=finder.cache,
    )


def matched(asked: Asked, header: Header) -> Parts:
    """The parts in the order of a record: each object takes the name of the object that made the record.

    Arguments:
        asked: Objects, or names of their classes in files.
        header: The record's header.
    """
    parts = find_parts(asked)
    spec, data = header.spec, header.labels.dataset or header.spec.dataset.name
    recorded = {role: getattr(spec, role) for role in ("defense", "attack", "classifier", "score_model")}
    names = {KIND_OF[role]: part.name for role, part in recorded.items() if part} | {"datasets": data}
    objects = [replace(found, name=names.get(kind, found.name)) for (kind, _), found in parts.registry.objects.items()]
    return replace(parts, registry=Registry(parts.registry.tables, objects))


class _Finder:
    """Finds one part after the other; later ones are tried on the images of the first."""

    def __init__(self, asked: Asked) -> None:
        self.asked, self.registry, self.cache = asked, make_registry(), Cache()
        self.dataset: Dataset | None = None
        own = score_of(asked.defense)
        if own is not None and asked.score_model is not None:
            raise UserError(
                "score-model-twice",
                expected="one score model",
                got="score_model= beside a purifier that has one in its attribute score",
                do="leave score_model= out",
            )
        self.score = asked.score_model if own is None else own
        self.device = self._device()

    def find(self, role: str) -> Any:
        """The component of an object, or the name of one."""
        part = self.score if role == "score_model" else getattr(self.asked, role)
        if part is None or isinstance(part, str):
            if part is not None:
                self.registry.find(_kind(role), part)
            return "none" if part is None and role == "defense" else part
        return getattr(self, f"_{role}")(part)

    def _data(self, part: Any) -> Found:
        found = find_data(part)
        self.dataset = found.load()()
        return found

    def _classifier(self, part: Any) -> Found:
        channels = self._images().images.shape[1]
        return find_classifier(part, self.asked.given("classifier"), self.asked.normalize, channels)[0]

    def _score_model(self, part: Any) -> Found:
        return find_score(part, self.asked.given("score_model"))

    def _defense(self, part: Any) -> Found:
        dataset = self._images()
        x = torch.from_numpy(dataset.floats(np.arange(TRIED) % len(dataset))).to(pick_device(self.device))
        return find_defense(part, self.asked.given("defense"), x)

    def _attack(self, part: Any) -> Found:
        if not callable(part) or isinstance(part, type):
            refuse("attack", part, "a name or a function of (model, x, y, threat, noise)")
        return given("attacks", name_of(part), part, code=code_sha256(part))

    def _images(self) -> Dataset:
        """The data set, loaded if it was given by name."""
        if self.dataset is None:
            part = Part(self.registry.find("datasets", self.asked.data), {}, "--dataset")
            self.dataset = images_of(part, self.asked.data_dir, self.cache)
        return self.dataset

    def _device(self) -> str:
        held, wanted = device_of(*self.asked.objects), self.asked.device
        if held is None or wanted is None:
            return wanted or held or "auto"
        if _place(str(pick_device(wanted))) != _place(held):
            raise UserError(
                "model-elsewhere",
                expected=f"the networks on device={wanted!r}",
                got=f"them on {held}",
                do=f"leave device= out, or move them: model.to({wanted!r})",
            )
        return wanted


def _place(device: str) -> str:
    return device if ":" in device or device == "cpu" else f"{device}:0"


def _kind(role: str) -> str:
    return "datasets" if role == "data" else KIND_OF[role]


def _role(key: str) -> str:
    return ARGUMENTS[KIND_OF[key]]


def _check_defaults(named: Mapping[str, str | None], found: Mapping[str, Any]) -> None:
    """Raises `UserError` if images that were given as objects lack a part for which named data sets have a default."""
    if not isinstance(found["data"], Found):
        return
    if named["classifier"] is None:
        raise UserError(
            "classifier-missing",
            expected="classifier= for these images",
            got="none",
            do="give a network, or the name of one",
        )
    if needs_score(getattr(found["defense"], "target", None)) and named["score_model"] is None:
        raise UserError(
            "score-model-missing",
            expected="score_model= for this purifier",
            got="none",
            do="give an object with denoise(y, sigma)",
        )
