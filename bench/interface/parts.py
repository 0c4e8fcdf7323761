"""The parts of a run as the Python functions take them: names, objects and factories, resolved to components."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.interface.asked import Asked
from bench.machine.device import pick_device
from bench.objects.arguments import name_of
from bench.objects.classifiers import device_of, find_classifier, find_score
from bench.objects.data import find_data, is_in_memory
from bench.objects.forms import refuse
from bench.objects.identity import code_sha256
from bench.objects.purifiers import find_defense, score_of
from bench.plan.cache import Cache
from bench.plan.loaded import images_of
from bench.plan.parts import Part
from bench.registry.arguments import takes
from bench.registry.entry import ARGUMENTS, KIND_OF
from bench.registry.given import given
from bench.registry.registry import Found, Registry
from bench.registry.tables import make_registry

TRIED = 2
"""Images on which a purifier without a claim is tried."""
ROLES = ("defense", "attack", "data", "classifier", "score_model")


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
        images: The data set, if it was loaded.
    """

    registry: Registry
    names: dict[str, str | None]
    arguments: dict[str, dict[str, Any]]
    device: str
    in_memory: bool
    cache: Cache
    images: Dataset | None


def find_parts(asked: Asked) -> Parts:
    """Finds all parts; objects are examined, names are looked up.

    Raises:
        UserError: A name is unknown, or an object is of the wrong kind.
    """
    finder = _Finder(asked)
    found = {role: finder.find(role) for role in ("data", "classifier", "score_model", "defense", "attack")}
    objects = [part for part in found.values() if isinstance(part, Found)]
    named = {role: part.name if isinstance(part, Found) else part for role, part in found.items()}
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
        images=finder.dataset,
    )


class _Finder:
    """Finds one part after the other; later ones are tried on the images of the first."""

    def __init__(self, asked: Asked) -> None:
        self.asked, self.registry, self.cache = asked, make_registry(), Cache()
        self.dataset: Dataset | None = None
        own = score_of(asked.defense)
        if own is not None and asked.score_model is not None:
            raise UserError("score-model-twice")
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
        if not callable(part) or isinstance(part, type | torch.nn.Module):
            refuse("attack", part, "a name or a function of (model, x, y, threat, noise)")
        return given("attacks", name_of(part), part, code=code_sha256(part))

    def _images(self) -> Dataset:
        """The data set, loaded if it was given by name."""
        if self.dataset is None:
            self.dataset = images_named(self.asked.data, self.asked.data_dir, self.registry, self.cache)
        return self.dataset

    def _device(self) -> str:
        held, wanted = device_of(*self.asked.objects), self.asked.device
        if held is None or wanted is None:
            return wanted or held or "auto"
        if _place(str(pick_device(wanted))) != _place(held):
            raise UserError("model-elsewhere", wanted=wanted, held=held)
        return wanted


def images_named(name: str, data_dir: Path | None, registry: Registry, cache: Cache) -> Dataset:
    """The data set of a name."""
    return images_of(Part(registry.find("datasets", name), {}, "--dataset"), data_dir, cache)


def _place(device: str) -> str:
    return device if ":" in device or device == "cpu" else f"{device}:0"


def _kind(role: str) -> str:
    return "datasets" if role == "data" else KIND_OF[role]


def _role(key: str) -> str:
    return ARGUMENTS[KIND_OF[key]]


def check_complete(parts: Parts) -> None:
    """Raises `UserError` if images that were given as objects lack a part for which named data sets have a default."""
    if parts.names["dataset"] not in {found.name for found in parts.registry.objects.values()}:
        return
    if parts.names["classifier"] is None:
        raise UserError("classifier-missing")
    defense = parts.registry.find("defenses", str(parts.names["defense"]))
    if parts.names["score_model"] is None and takes(defense.load(), "score"):
        raise UserError("score-model-missing", shown=defense.shown)
