"""Weights as safetensors with a card: architecture, recipe, sha256, quality."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from bench.errors import UserError
from bench.files.atomic import write_whole
from bench.files.documents import read_json
from bench.models.card import write_card
from bench.models.hub import unet
from bench.models.networks.convnet import SmallConvNet
from bench.models.networks.preconditioning import PreconditionedDenoiser
from bench.models.networks.resnet import SmallResNet
from bench.models.networks.unet import SmallUNet


def small_unet(*, mean: float, spread: float, low: float, high: float, **arguments: object) -> PreconditionedDenoiser:
    """A `SmallUNet` inside its preconditioning."""
    return PreconditionedDenoiser(SmallUNet(**arguments), mean=mean, spread=spread, low=low, high=high)  # type: ignore[arg-type]


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "small-convnet": SmallConvNet,
    "small-resnet": SmallResNet,
    "small-unet": small_unet,
    "diffusers-unet": unet,
}
STORED: dict[str | None, torch.dtype] = {"float16": torch.float16}
"""Data types of stored weights by their name in a recipe; any other recipe keeps that of the network."""
EMBEDDED = Path(__file__).parent / "weights"


def build(architecture: str, arguments: dict) -> nn.Module:
    """A network without trained weights.

    Raises:
        UserError: No such architecture, or arguments that it does not take.
    """
    if architecture not in ARCHITECTURES:
        raise UserError("weights-architecture", architectures=ARCHITECTURES, architecture=architecture)
    try:
        return ARCHITECTURES[architecture](**arguments)
    except (TypeError, ValueError, RuntimeError, ArithmeticError, MemoryError, AttributeError) as error:
        raise UserError("weights-arguments", architecture=architecture, arguments=arguments, error=error) from error


def write_model(model: nn.Module, out: Path, card: dict) -> Path:
    """Writes `model.safetensors`, `model.json` and `README.md` into a folder; returns the path of the weights."""
    path = write_weights(model, out / "model.safetensors", card)
    role = "--score-model" if hasattr(model, "denoise") else "--classifier"
    write_card(out, read_card(path), f"{role} weights:{path}")
    return path


def write_weights(model: nn.Module, path: Path, card: dict) -> Path:
    """Writes weights and card (`path` with `.json`), each atomically; returns `path`.

    Arguments:
        model: The network.
        path: A `.safetensors` path.
        card: Facts about the weights; `recipe.architecture` and `recipe.arguments` rebuild the network, and with
            `recipe.storage` `float16` they are stored in half precision.
    """
    kind = STORED.get(card.get("recipe", {}).get("storage"))
    content = save({name: tensor.to(kind).contiguous() for name, tensor in model.state_dict().items()})
    card = {
        **card,
        "parameters": sum(p.numel() for p in model.parameters()),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    for target, data in ((path, content), (path.with_suffix(".json"), json.dumps(card, indent=1))):
        write_whole(target, data)
    return path


def read_weights(path: Path) -> nn.Module:
    """Loads a network that `write_weights` wrote, frozen and in inference mode; its hash is compared with the card.

    Its memory format is channels last, in which convolutions take about four fifths of the time on a CPU
    (`tests/benchmarks/memory_format.py`).

    Raises:
        UserError: A file is missing, damaged, or does not fit its card.
    """
    card, content = read_card(path), _read(path)
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise UserError("weights-changed", path=path, digest=card["sha256"][:12])
    model: Any = build(card["recipe"]["architecture"], card["recipe"]["arguments"])
    try:
        model.load_state_dict(load(content))
    except (RuntimeError, SafetensorError, AttributeError, ValueError) as error:
        raise UserError(
            "weights-other-architecture", architecture=card["recipe"]["architecture"], path=path, error=error
        ) from error
    if "image_shape" in card:
        model.image_shape = tuple(card["image_shape"])
    return model.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def read_card(path: Path) -> dict:
    """The card beside the weights at `path`.

    Raises:
        UserError: There is none, or it does not describe the weights.
    """
    file = path.with_suffix(".json")
    if not file.exists():
        _read(path)  # raises if the weights themselves are missing
        raise UserError("weights-card-missing", file=file.name, path=path)
    card = read_json(file)
    recipe = card.get("recipe") if isinstance(card, dict) else None
    parts = (
        (recipe.get("architecture"), recipe.get("arguments"), card.get("sha256")) if isinstance(recipe, dict) else ()
    )
    shape = card.get("image_shape", [1, 1, 1]) if isinstance(card, dict) else None
    fits = isinstance(shape, list) and [type(side) for side in shape] == [int] * 3
    if [type(part) for part in parts] != [str, dict, str] or not fits:
        raise UserError("weights-card-damaged", file=file)
    return card


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        advice = "reinstall purebench" if EMBEDDED in path.parents else "check the path, or write them with bench train"
        raise UserError("weights-unreadable", path=path, error=error, advice=advice) from error
