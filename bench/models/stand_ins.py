"""Untrained networks for timing: a pass takes as long as with trained weights of the same architecture."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.models.networks.convnet import SmallConvNet
from bench.models.networks.preconditioning import PreconditionedDenoiser
from bench.models.networks.unet import SmallUNet

DDPM_CIFAR10 = {
    "sample_size": 32, "in_channels": 3, "out_channels": 3, "layers_per_block": 2, "block_out_channels": (128, 256, 256, 256),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"), "attention_head_dim": None,
    "flip_sin_to_cos": False, "freq_shift": 1, "downsample_padding": 0, "norm_eps": 1e-6,
}  # fmt: skip
"""The configuration of google/ddpm-cifar10-32, as its `config.json` states it."""
SIDE, IMAGES = 8, 1000
"""Side and number of the small images on which passes are counted; the count does not depend on the side."""


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """An untrained network in place of a trained one.

    Arguments:
        text: Its description.
        network: The network, frozen, on the CPU.
    """

    text: str
    network: nn.Module

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return sum(parameter.numel() for parameter in self.network.parameters())


def stand_in(make: Callable[[], nn.Module], text: str) -> StandIn:
    """Builds a network with torch's random initial weights; the global random state is restored."""
    with torch.random.fork_rng(devices=[]):
        network = make()
    return StandIn(text=text, network=network.eval().requires_grad_(False))


def wide_resnet() -> StandIn:
    """The architecture of RobustBench's `Standard` on CIFAR-10."""

    def make() -> nn.Module:
        from bench.models.robustbench import architecture

        return architecture("cifar10", "Linf", "Standard")

    return stand_in(make, "WideResNet-28-10, as robustbench:Standard, untrained")


def ddpm_cifar10() -> StandIn:
    """The architecture of google/ddpm-cifar10-32, or a small network where diffusers is not installed."""
    from bench.models.hub import unet

    try:
        return stand_in(lambda: unet(**DDPM_CIFAR10), "UNet2DModel, as diffusers:google/ddpm-cifar10-32, untrained")
    except UserError:
        return stand_in(
            small_denoiser, 'a small U-Net, far cheaper than google/ddpm-cifar10-32: pip install "purebench[hub]"'
        )


def resnet50() -> StandIn:
    """The architecture of RobustBench's `Standard_R50` on ImageNet."""
    models = importlib.import_module("torchvision.models")
    return stand_in(lambda: models.resnet50(weights=None), "ResNet-50, as robustbench:Standard_R50, untrained")


def small_imagenet_denoiser() -> StandIn:
    """A small denoiser for ImageNet, which has no built-in score model."""
    return stand_in(
        small_denoiser, "a small U-Net: the data set has no built-in score model, and published ones are far larger"
    )


def small_denoiser(*, channels: int = 3) -> PreconditionedDenoiser:
    """A small U-Net that accepts any noise level."""
    return PreconditionedDenoiser(SmallUNet(channels=channels), mean=0.5, spread=0.25, low=1e-6, high=1e6)


def small_classifier(*, run_dataset: Dataset | None = None) -> nn.Module:
    """A classifier with few channels and as many classes as the data set."""
    classes = 10 if run_dataset is None else len(run_dataset.classes)
    return SmallConvNet(classes=classes, channels=3, size=SIDE, widths=(8, 8, 8, 8))


def small_images(*, name: str, classes: int) -> Dataset:
    """Grey images with the number of classes of another data set, on which passes are counted."""
    return Dataset(
        name=name,
        ids=np.arange(IMAGES),
        images=np.full((IMAGES, 3, SIDE, SIDE), 0.5, dtype=np.float32),
        labels=np.arange(IMAGES) % classes,
        classes=tuple(map(str, range(classes))),
    )
