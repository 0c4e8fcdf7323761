"""The normalisation that a classifier expects of its images, as the packages that make classifiers state it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from bench.errors import UserError
from bench.objects.forms import kind_of

KNOWN: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR-10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "-1 to 1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
"""Common normalisations of colour images: mean and standard deviation of each channel."""
_PAIRS = (("image_mean", "image_std"), ("mean", "std"))


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, in pixel units.

    Arguments:
        mean: Subtracted from the images.
        std: Divides the result.
        origin: Where it was found, for a note in the record.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    origin: str = "normalize="

    def values(self) -> list[list[float]]:
        """Mean and standard deviation as JSON."""
        return [list(self.mean), list(self.std)]

    def __str__(self) -> str:
        return f"({_tuple(self.mean)}, {_tuple(self.std)})"


def stated_by(network: nn.Module) -> Normalisation | None:
    """The normalisation in the configuration that timm keeps with its models; None for other networks.

    Arguments:
        network: A classifier.
    """
    for name in ("pretrained_cfg", "default_cfg"):
        config = getattr(network, name, None)
        if config is not None and (found := _pair(config, "mean", "std", f"the {name} of the model")):
            return found
    return None


def asked(wanted: Any, channels: int) -> Normalisation:
    """The normalisation in an argument.

    Arguments:
        wanted: `(mean, std)`, or what packages hand out beside a model: an image processor of `transformers`, a transform of
            torchvision, a configuration of timm.
        channels: Channels of the images.

    Raises:
        UserError: There is no normalisation in it, or one for another number of channels.
    """
    found = _of_processor(wanted) or _of_pair(wanted, channels)
    if found is None:
        raise UserError("normalize-kind", got=kind_of(wanted))
    if len(found.mean) not in (1, channels) or len(found.mean) != len(found.std) or min(found.std) <= 0:
        raise UserError("normalize-values", channels=channels, found=found)
    return found


def _of_processor(part: Any) -> Normalisation | None:
    if getattr(part, "do_normalize", True) is False:
        return Normalisation((0.0,), (1.0,), "the image processor, which does not normalise")
    for names in _PAIRS:
        if found := _pair(part, *names, f"the {type(part).__name__}"):
            return found
    for inner in getattr(part, "transforms", None) or ():
        if type(inner).__name__ == "Normalize" and (found := _pair(inner, "mean", "std", "the transforms")):
            return found
    return None


def _of_pair(part: Any, channels: int) -> Normalisation | None:
    if isinstance(part, str) or not isinstance(part, Sequence) or len(part) != 2:
        return None
    values = [_numbers(value, channels) for value in part]
    return Normalisation(values[0], values[1]) if values[0] and values[1] else None


def _pair(part: Any, mean: str, std: str, origin: str) -> Normalisation | None:
    read = part.get if isinstance(part, Mapping) else lambda name: getattr(part, name, None)
    values = _numbers(read(mean)), _numbers(read(std))
    return Normalisation(values[0], values[1], origin) if values[0] and values[1] else None


def _numbers(value: Any, channels: int = 1) -> tuple[float, ...]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (float(value),) * channels
    if isinstance(value, Tensor) or hasattr(value, "tolist"):
        value = [
            float(str(number)) for number in np.asarray(value).flatten()
        ]  # 0.286, not 0.28600001 as float32 has it
    if isinstance(value, list | tuple) and value and all(isinstance(number, int | float) for number in value):
        return tuple(map(float, value))
    return ()


def _tuple(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)}{',' if len(values) == 1 else ''})"
