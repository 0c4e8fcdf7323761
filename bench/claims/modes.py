"""Modules in train mode, wherever a run holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from bench.records.claim import Claim, judged

DEEPEST = 4
"""Objects in objects that are looked into."""


def modes(**parts: Any) -> Claim:
    """The claim that no module of these parts is in train mode, as it is after `eval()`.

    Arguments:
        parts: Networks, and objects that hold some in their attributes, lists or mappings; by what to call them.
    """
    found = [f"{name}{path}" for name, part in parts.items() for path, network in _networks(part, DEEPEST) for path in _training(network, path)]  # fmt: skip
    means = "train mode draws dropout at random and normalises over the batch; call eval() on every network"
    return judged("modes", found, [], not found, means)


def _training(network: nn.Module, path: str) -> Iterator[str]:
    for name, module in network.named_modules():
        if module.training:
            yield f"{path}.{name}" if name else path


def _networks(part: Any, depth: int, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The networks in an object, with the path to each."""
    if isinstance(part, nn.Module):
        yield path, part
        return
    if not depth or isinstance(part, str | bytes):
        return
    for name, value in _members(part):
        yield from _networks(value, depth - 1, f"{path}.{name}")


def _members(part: Any) -> list[tuple[Any, Any]]:
    if isinstance(part, Mapping):
        return list(part.items())
    if isinstance(part, list | tuple | set):
        return list(enumerate(part))
    return list(getattr(part, "__dict__", {}).items())
