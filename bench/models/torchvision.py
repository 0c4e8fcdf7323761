"""ImageNet classifiers of torchvision, their normalisation inside."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.files.download import fetch


class Normalised(nn.Module):
    """A network behind the normalisation of its inputs: images in [0, 1] to logits.

    Arguments:
        network: Maps normalised images to logits.
        mean: Mean of each channel, subtracted.
        spread: Standard deviation of each channel, which divides the result.
    """

    def __init__(self, network: nn.Module, *, mean: list[float], spread: list[float]) -> None:
        super().__init__()
        self.network = network
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("spread", torch.tensor(spread).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps images `(B, C, H, W)` in [0, 1] to logits `(B, classes)`."""
        return self.network((x - self.mean) / self.spread)


def torchvision(*, name: str, weights: str = "DEFAULT") -> nn.Module:
    """A classifier of torchvision, with its pretrained weights for the 1,000 classes of ImageNet.

    The weights lie in the folder of `torch.hub` and are downloaded if missing; their published checksum is checked.

    References:
        https://pytorch.org/vision/stable/models.html

    Arguments:
        name: A model such as `resnet50`.
        weights: Which of its weights, such as `IMAGENET1K_V1`.

    Raises:
        UserError: No such model or weights, or the network fails.
    """
    chosen = _weights(name, weights)
    file = Path(torch.hub.get_dir()) / "checkpoints" / chosen.url.rpartition("/")[2]
    fetch([chosen.url], file, checksum=f"sha256:{_published(file)}", advice=f"put it into {file.parent}")
    network = _models().get_model(name, weights=None)
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    preprocessing = chosen.transforms()
    return Normalised(network, mean=list(preprocessing.mean), spread=list(preprocessing.std)).eval()


def _models() -> Any:
    return importlib.import_module("torchvision.models")


def _weights(name: str, weights: str) -> Any:
    names = _models().list_models(module=_models())
    if name not in names:
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"the names are {', '.join(names)}"
        raise UserError("torchvision-model-unknown", name=name, hint=hint)
    kinds = _models().get_model_weights(name)
    if weights not in kinds.__members__:
        choices = ", ".join(kinds.__members__)
        raise UserError("torchvision-weights", choices=choices, name=name, weights=weights)
    return kinds[weights]


def _published(file: Path) -> str:
    """The first digits of the checksum, at the end of the file's name: `resnet50-0676ba61.pth`."""
    return file.stem.rpartition("-")[2]
