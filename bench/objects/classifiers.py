"""Classifiers and score models given as objects: networks of any package, their normalisation, and plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from bench.errors import UserError
from bench.models.contained import networks_behind, networks_in
from bench.models.torchvision import Normalised
from bench.objects.arguments import arguments_of, label_of, name_of
from bench.objects.forms import is_factory, is_tokenizer, made, refuse
from bench.objects.identity import code_sha256, state_sha256
from bench.objects.normalisation import Normalisation, asked, stated_by
from bench.registry.given import Given, given

CLASSIFIERS = "a name, a torch.nn.Module or a function from images to logits, (model, processor), or a function without arguments that makes one"
SCORES = "a name, an object with denoise(y, sigma), or a function without arguments that makes one"
FOUND = "auto"
"""The value of `normalize` that takes the normalisation which the model states."""


class Maker:
    """Gives an object whose arguments were read from it, so that they need not be set.

    Arguments:
        made: The object.
    """

    def __init__(self, made: Any) -> None:
        self.made = made

    def __call__(self, **_: object) -> Any:
        """The object."""
        return self.made


def find_classifier(
    part: Any, arguments: dict[str, Any], normalize: Any, channels: int
) -> tuple[Given, Normalisation | None]:
    """The component of a classifier in any form, and the normalisation that was put before it.

    Arguments:
        part: A network, a function, a pair of a network and its image processor, or a factory.
        arguments: Arguments for a factory.
        normalize: `auto` for what the model states; None for none; else as for `asked`.
        channels: Channels of the images.

    Raises:
        UserError: It is no classifier, or in train mode.
    """
    if isinstance(part, tuple | list) and len(part) == 2 and not is_tokenizer(part[1]):
        part, normalize = part[0], part[1] if normalize == FOUND else normalize
    network = made(part, "classifier", arguments)
    if not callable(network) or is_factory(network) or is_tokenizer(network):
        refuse("classifier", network, CLASSIFIERS)
    check_mode("classifier", network)
    wanted = _wanted(network, normalize, channels)
    values = arguments_of(network) | ({"normalize": wanted.values()} if wanted else {})
    found = given(
        "classifiers",
        name_of(network),
        Maker(_behind(network, wanted)),
        values=values,
        label=label_of(network, values),
        sha256=state_sha256(network),
        code=code_sha256(network),
    )
    return found, wanted


def find_score(part: Any, arguments: dict[str, Any]) -> Given:
    """The component of a score model.

    Arguments:
        part: An object with `denoise(y, sigma)`, or a factory.
        arguments: Arguments for a factory.

    Raises:
        UserError: It is no score model, or in train mode.
    """
    score = made(part, "score_model", arguments)
    if is_factory(score) or not callable(getattr(score, "denoise", None)):
        refuse("score_model", score, SCORES)
    check_mode("score_model", score)
    values = arguments_of(score)
    hashes = {"sha256": state_sha256(score), "code": code_sha256(score)}
    return given("score_models", name_of(score), Maker(score), values=values, label=label_of(score, values), **hashes)


def networks_of(*parts: Any) -> list[nn.Module]:
    """The networks in objects, and behind functions."""
    found = [
        network for part in parts for network in [*networks_behind(part), *(inner for _, inner in networks_in(part))]
    ]
    return list({id(network): network for network in found}.values())


def device_of(*parts: Any) -> str | None:
    """The device that holds the networks of objects; None without any.

    Raises:
        UserError: They are on several devices.
    """
    devices = {str(tensor.device) for network in networks_of(*parts) for tensor in _tensors(network)}
    if len(devices) > 1:
        raise UserError("devices-differ", devices=" and ".join(sorted(devices)))
    return next(iter(devices), None)


@contextmanager
def untouched(*parts: Any) -> Iterator[None]:
    """Context that gives the networks of objects back as they were: a run freezes their parameters.

    Arguments:
        parts: Objects and functions.
    """
    parameters = [parameter for network in networks_of(*parts) for parameter in network.parameters()]
    before = [parameter.requires_grad for parameter in parameters]
    try:
        yield
    finally:
        for parameter, wanted in zip(parameters, before, strict=True):
            parameter.requires_grad_(wanted)


def _tensors(network: nn.Module) -> Iterator[torch.Tensor]:
    yield from network.parameters()
    yield from network.buffers()


def check_mode(role: str, part: Any) -> None:
    """Raises `UserError` if a network in an object, or behind a function, is in train mode."""
    for network in networks_of(part):
        training = [name or type(network).__name__ for name, module in network.named_modules() if module.training]
        if training:
            raise UserError("object-in-train-mode", role=role, count=len(training), first=training[0])


def _wanted(network: Any, normalize: Any, channels: int) -> Normalisation | None:
    if normalize is None:
        return None
    if isinstance(normalize, str) and normalize == FOUND:
        return stated_by(network) if isinstance(network, nn.Module) else None
    return asked(normalize, channels)


def _behind(network: Callable[..., Any], wanted: Normalisation | None) -> Any:
    """The network behind its normalisation; that of a plain function is a function too."""
    if wanted is None:
        return network
    if not isinstance(network, nn.Module):
        raise UserError("normalize-function", wanted=wanted)
    before = Normalised(network, mean=list(wanted.mean), spread=list(wanted.std)).eval()
    tensor = next(_tensors(network), None)
    return before if tensor is None else before.to(tensor.device)
