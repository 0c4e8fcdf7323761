"""The parts of a run: found by name, imported, their arguments filled in, and loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from bench.data.dataset import Dataset
from bench.errors import BenchError, UserError
from bench.protocols import Defense, ScoreModel
from bench.records.spec import Component
from bench.registry.arguments import complete, label, plain, takes
from bench.registry.registry import Found

LATER = {"votes": 1, "budget": None}
"""Arguments that came later, at values that change nothing: a spec leaves them out, so that the run ids of old specs stay as they are."""


class Part:
    """A component found by name and imported, with its arguments filled in."""

    def __init__(self, found: Found, arguments: Mapping[str, Mapping[str, Any]], flag: str) -> None:
        self.found, self.flag = found, flag
        self.target = found.load()
        if not callable(self.target):
            raise UserError(
                f"expected {found.name} to be a class or a function, got {type(self.target).__name__}; name another object"
            )
        given = {**found.entry.args, **arguments.get(found.kind, {})}
        self.values = complete(self.target, given, what=found.name, flag=flag)
        self.label = label(found.name, self.target, self.values, found.entry.args)

    @property
    def key(self) -> tuple[str, str, str]:
        """The same for two parts that load the same thing."""
        return self.found.kind, self.found.name, repr(sorted(self.values.items()))

    def component(self, *, sha256: str | None = None, **traits: str | None) -> Component:
        """The part's entry in the spec."""
        values = {name: value for name, value in self.values.items() if name not in LATER or value != LATER[name]}
        return Component(
            name=self.found.name, args=plain(values), sha256=sha256 or self.found.source_sha256(), **traits
        )


def load_dataset(part: Part, data_dir: Path | None) -> Dataset:
    """The images; raises `UserError` if the factory gives something else."""
    dataset = _build(part, **({"data_dir": data_dir} if takes(part.target, "data_dir") else {}))
    if not isinstance(dataset, Dataset):
        raise UserError(
            f"expected {part.found.name} to return a bench.data.dataset.Dataset, got {type(dataset).__name__}; correct the factory"
        )
    return dataset


def load_classifier(part: Part, setting: Mapping[str, Any]) -> nn.Module:
    """A network that is evaluated, its parameters without gradients.

    Arguments:
        part: Its factory.
        setting: What a factory may ask for: `data_dir`, `run_dataset`, `threat`.

    Raises:
        UserError: The factory fails, gives something else, or what it gives is for images of another shape.
    """
    network = _build(part, **_wanted(part, setting))
    if not isinstance(network, nn.Module):
        raise UserError(
            f"expected {part.found.name} to return a torch.nn.Module, got {type(network).__name__}; correct the factory"
        )
    _check_images(part, network, setting["run_dataset"])
    return network.eval().requires_grad_(False)


def load_score(part: Part, setting: Mapping[str, Any]) -> ScoreModel:
    """A score model, likewise."""
    score = _build(part, **_wanted(part, setting))
    if not callable(getattr(score, "denoise", None)):
        raise UserError(
            f"expected {part.found.name} to return an object with denoise(y, sigma), got {type(score).__name__}; correct the factory"
        )
    _check_images(part, score, setting["run_dataset"])
    if isinstance(score, nn.Module):
        score.eval().requires_grad_(False)
    return score


def make_defense(part: Part, score: ScoreModel | None) -> Defense:
    """The defense, from a score model if it takes one; raises `UserError` if its values are wrong."""
    roles = {"score": score} if takes(part.target, "score") else {}
    return _build(part, **roles)


def notes(built: Defense, defense: Part, attack: Part) -> list[str]:
    """The remarks of components on themselves: the attribute `provenance`, or a preset's entry; and a defense's `units`."""
    texts = [
        (part.found.name, getattr(part.target, "provenance", "") or part.found.entry.remark)
        for part in (defense, attack)
    ]
    texts.insert(1, (defense.found.name, getattr(built, "units", "")))
    return [f"{name}: {text}" for name, text in texts if text]


def remarks(part: Part, model: object) -> list[str]:
    """The remark of a loaded model on itself, its attribute `provenance`."""
    text = getattr(model, "provenance", "")
    return [f"{part.found.name}: {text}"] if text else []


def hashed(model: Any) -> tuple[Any, str | None]:
    """A model and its fingerprint."""
    return model, fingerprint(model)


def fingerprint(model: object) -> str | None:
    """Hash of a network's architecture-independent state: names, types, shapes and bytes of its tensors; None if it has none."""
    if not isinstance(model, nn.Module):
        return None
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _build(part: Part, **roles: object) -> Any:
    """Calls what may be another's code, whose errors are the user's to correct."""
    try:
        return part.target(**roles, **part.values)
    except BenchError:
        raise
    except Exception as error:
        raise UserError(
            f"expected to build {part.found.name}, got {type(error).__name__}: {error}; correct it or its {part.flag} arguments"
        ) from error


def _wanted(part: Part, setting: Mapping[str, Any]) -> dict[str, Any]:
    """What of the run's setting a factory takes."""
    return {name: value for name, value in setting.items() if takes(part.target, name)}


def _check_images(part: Part, model: object, dataset: Dataset) -> None:
    """A model may say by its attribute `image_shape` `(C, H, W)` what it was made for."""
    wanted, got = getattr(model, "image_shape", None), dataset.images.shape[1:]
    if wanted and tuple(wanted) != got:
        flag = "--classifier" if part.found.kind == "classifiers" else "--score-model"
        raise UserError(
            f"expected images of shape {tuple(wanted)}, which {part.found.name} was made for, got {got} as {dataset.name} holds them; "
            f"choose another {flag}"
        )
