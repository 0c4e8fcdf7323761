"""The CIFAR-10 ResNet-18 in the package pyautoattack."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import torch
from torch import nn

from bench.errors import UserError
from bench.files.download import digest

SHA256 = "399f52da9f914c323fa5a6096d60f460a3449a59b64a6405200c1e629f8425a7"
CHECKPOINT = "examples/model_test.pt"


def autoattack_resnet18(*, path: Path | None = None) -> nn.Module:
    """A ResNet-18 for CIFAR-10 that is not robust by itself; it takes images in [0, 1] without normalisation.

    References:
        Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks (Croce, Hein, 2020)
        https://arxiv.org/abs/2003.01690

    Arguments:
        path: The checkpoint `model_test.pt`; None for the one inside the installed package.

    Raises:
        UserError: The checkpoint is missing or another one.
    """
    found = importlib.util.find_spec("pyautoattack")
    places = list(found.submodule_search_locations or []) if found else []
    file = path or Path(places[0] if places else "pyautoattack") / CHECKPOINT
    if not file.exists():
        raise UserError("resnet18-missing", file=file)
    if digest(file, "sha256") != SHA256:
        raise UserError("resnet18-changed", file=file, digest=SHA256[:12])
    network = importlib.import_module("pyautoattack.examples.resnet").ResNet18()
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    network.image_shape = (3, 32, 32)
    return network.eval()
