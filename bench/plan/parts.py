"""The parts of a run: found by name, imported, their arguments filled in, and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from bench.data.dataset import Dataset
from bench.errors import BenchError, UserError
from bench.foreign import blamed, own_folder
from bench.keyed import taking_noise
from bench.models.adapter import Adapter, adapted
from bench.models.contained import networks_behind, networks_in
from bench.models.fingerprint import fingerprint
from bench.protocols import Defense, ScoreModel
from bench.records.spec import Component
from bench.registry.arguments import complete, label, plain, takes
from bench.registry.given import Given
from bench.registry.registry import Found, Registry

LATER = {"votes": 1, "budget": None}
"""Arguments added in later releases, at the values that change nothing; specs leave these out, so that old run ids stay valid."""
LOOK = 2
"""Images on which a loaded classifier is tried; one image would not show how a batch is handled."""


class Part:
    """A component found by name and imported, or given as an object, with its arguments filled in."""

    def __init__(self, found: Found, arguments: Mapping[str, Mapping[str, Any]], flag: str) -> None:
        self.found, self.flag = found, flag
        self.target = found.load()
        if not callable(self.target) or isinstance(self.target, nn.Module):
            raise UserError("component-kind", name=found.name, kind=type(self.target).__name__)
        if isinstance(found, Given) and found.values is not None:
            self.values, self.label = dict(found.values), found.label
            return
        given = {**found.entry.args, **arguments.get(found.kind, {})}
        self.values = complete(self.target, given, what=found.name, flag=flag)
        self.label = label(found.shown, self.target, self.values, found.entry.args)

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for two parts that load the same object."""
        return self.found.kind, self.found.name, repr(sorted(self.values.items()))

    def component(self, *, sha256: str | None = None, **traits: str | None) -> Component:
        """The part's entry in the spec."""
        values = {name: value for name, value in self.values.items() if name not in LATER or value != LATER[name]}
        sha256 = sha256 or self.found.source_sha256()
        if isinstance(self.found, Given):
            sha256 = sha256 if self.found.values is None else self.found.sha256
            traits["code"] = self.found.code
        return Component(name=self.found.name, args=plain(values), sha256=sha256, **traits)


def surrogate_of(attack: Part, registry: Registry) -> Part | None:
    """The classifier that a transfer attack names."""
    if not takes(attack.target, "surrogate"):
        return None
    return Part(registry.find("classifiers", attack.values["classifier"]), {}, "-A")


def load_dataset(part: Part, data_dir: Path | None) -> Dataset:
    """Loads the images; raises `UserError` if the factory returns something else."""
    dataset = _build(part, **({"data_dir": data_dir} if takes(part.target, "data_dir") else {}))
    if not isinstance(dataset, Dataset):
        raise UserError("dataset-type", name=part.found.name, kind=type(dataset).__name__)
    return dataset


def load_classifier(part: Part, setting: Mapping[str, Any]) -> nn.Module:
    """Loads a classifier in inference mode, with frozen parameters, adapted to how a run calls it.

    Arguments:
        part: Its factory.
        setting: Arguments that a factory may take: `data_dir`, `run_dataset`, `threat`.

    Raises:
        UserError: The factory fails or returns something else, or the network is for images of another shape.
    """
    network, name, dataset = _build(part, **_wanted(part, setting)), part.found.name, setting["run_dataset"]
    if not callable(network) or isinstance(network, type):
        advice = (
            "build the network in it and load this into it" if isinstance(network, Mapping) else "correct the factory"
        )
        raise UserError("classifier-type", name=name, kind=type(network).__name__, advice=advice)
    _check_images(part, network, dataset)
    for inner in [network] if isinstance(network, nn.Module) else networks_behind(network):
        _freeze(inner, name)
    x = torch.from_numpy(dataset.floats(np.arange(LOOK) % len(dataset)))
    return adapted(network, x, len(dataset.classes), f"the classifier {name}")


def load_score(part: Part, setting: Mapping[str, Any]) -> ScoreModel:
    """Loads a score model in the same way as `load_classifier`."""
    score = _build(part, **_wanted(part, setting))
    if not callable(getattr(score, "denoise", None)):
        raise UserError("score-type", name=part.found.name, kind=type(score).__name__)
    _check_images(part, score, setting["run_dataset"])
    if isinstance(score, nn.Module):
        _freeze(score, part.found.name)
    return score


def check_weights(part: object, name: str) -> None:
    """Raises `UserError` if a network in an object has parameters without values."""
    for _, network in networks_in(part):
        tensors = [*network.named_parameters(), *network.named_buffers()]
        empty = [path for path, tensor in tensors if is_lazy(tensor) or tensor.is_meta]
        if empty:
            raise UserError("component-weights-missing", name=name, parameter=empty[0])


def make_defense(part: Part, score: ScoreModel | None) -> Defense:
    """Builds the defense, from a score model if it takes one; raises `UserError` if its values or its `purify` are wrong."""
    roles = {"score": score} if takes(part.target, "score") else {}
    return taking_noise(_build(part, **roles))


def notes(built: Defense, defense: Part, attack: Part) -> list[str]:
    """Remarks of defense and attack: their attribute `provenance` or a preset's remark, and a defense's `units`."""
    texts = [
        (part.found.name, getattr(part.target, "provenance", "") or part.found.entry.remark)
        for part in (defense, attack)
    ]
    texts.insert(1, (defense.found.name, getattr(built, "units", "")))
    return [f"{name}: {text}" for name, text in texts if text]


def remarks(part: Part, model: object) -> list[str]:
    """The remark of a loaded model: its attribute `provenance`."""
    text = getattr(model, "provenance", "")
    return [f"{part.found.name}: {text}"] if text else []


def hashed(model: Any) -> tuple[Any, str | None]:
    """A model and its fingerprint."""
    return model, fingerprint(model.state if isinstance(model, Adapter) else model)


def _build(part: Part, **roles: object) -> Any:
    """Calls a factory, which may be foreign code; its errors are reported as the user's."""
    try:
        with own_folder(part.target):
            return part.target(**roles, **part.values)
    except BenchError:
        raise
    except Exception as error:
        raise UserError(
            "component-build-failed", name=part.found.name, kind=type(error).__name__, error=error, flag=part.flag
        ) from error


def _freeze(network: nn.Module, name: str) -> None:
    check_weights(network, name)
    with blamed(f"eval() of {name} to work", "return the network that it was made from"):
        network.eval()
    for parameter in network.parameters():  # compiled scripts have no requires_grad_()
        parameter.requires_grad_(False)


def _wanted(part: Part, setting: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the run's setting that a factory takes."""
    return {name: value for name, value in setting.items() if takes(part.target, name)}


def _check_images(part: Part, model: object, dataset: Dataset) -> None:
    """Checks the shape `(C, H, W)` that a model names in its attribute `image_shape`, if it has one."""
    wanted, got = getattr(model, "image_shape", None), dataset.images.shape[1:]
    if wanted and tuple(wanted) != got:
        flag = "--classifier" if part.found.kind == "classifiers" else "--score-model"
        raise UserError(
            "component-image-shape",
            wanted=tuple(wanted),
            name=part.found.name,
            got=got,
            dataset=dataset.name,
            flag=flag,
        )
