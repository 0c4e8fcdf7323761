"""Checks that no module of a run is in train mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from bench.models.contained import networks_in
from bench.records.claim import Claim, judged


def modes(**parts: Any) -> Claim:
    """The claim that no module of these parts is in train mode, as it is after `eval()`.

    Arguments:
        parts: Networks by name, or objects that hold networks in their attributes, lists or mappings.
    """
    found = [
        f"{name}{inner}"
        for name, part in parts.items()
        for path, network in networks_in(part)
        for inner in _training(network, path)
    ]
    means = "train mode draws dropout at random and normalises over the batch; call eval() on every network"
    return judged("modes", found, [], not found, means)


def _training(network: nn.Module, path: str) -> Iterator[str]:
    for name, module in network.named_modules():
        if module.training:
            yield f"{path}.{name}" if name else path
