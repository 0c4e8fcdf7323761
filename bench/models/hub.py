"""Score models in the format of the library diffusers: loaded from its hub or a folder, and saved to a folder."""

from __future__ import annotations

import importlib
import json
import logging
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.errors import UserError
from bench.files.download import digest
from bench.models.card import write_card
from bench.models.denoisers.converted import ConvertedDenoiser
from bench.models.denoisers.schedulers import ADVICE, EXPLODING, convention, converted
from bench.models.denoisers.variance_preserving import VariancePreservingDenoiser
from bench.registry.extras import missing

TIMES, FIRST_BETA, LAST_BETA = 1_000, 1e-4, 2e-2
"""The schedule of networks that `bench train` makes: linear betas (Ho et al. 2020)."""


def hub_score_model(*, place: str) -> ConvertedDenoiser:
    """An unconditional `UNet2DModel` under the convention that its scheduler names, as a denoiser at any noise level.

    References:
        Diffusers: State-of-the-art diffusion models (von Platen et al., 2022)
        https://github.com/huggingface/diffusers

    Arguments:
        place: A folder, or a repository of the hub such as `google/ddpm-cifar10-32`; network and scheduler lie in its
            folders `unet` and `scheduler`, or both at its top level.

    Raises:
        UserError: diffusers is not installed, the place cannot be read, or it holds another kind of model.
    """
    diffusers = _diffusers()
    folder = Path(place) if Path(place).is_dir() else _download(place)
    network_folder = folder / "unet" if (folder / "unet").is_dir() else folder
    scheduler_folder = folder / "scheduler" if (folder / "scheduler").is_dir() else folder
    config = _config(network_folder / "config.json", place)
    settings = _config(scheduler_folder / "scheduler_config.json", place)
    kind = convention(settings, place)
    _check_pixels(folder, place)
    _check_kind(config, kind, place)
    try:
        network = diffusers.UNet2DModel.from_pretrained(network_folder, low_cpu_mem_usage=False)
        scheduler = getattr(diffusers, settings["_class_name"]).from_config(settings)
    except Exception as error:  # foreign code: missing, truncated or misshapen weights, unknown betas
        raise UserError(
            "hub-model-damaged", place=place, kind=type(error).__name__, error=" ".join(str(error).split())[:300]
        ) from error
    model = converted(network, scheduler, kind, _shape(config))
    return model.eval().requires_grad_(False)


def unet(**config: Any) -> VariancePreservingDenoiser:
    """An untrained `UNet2DModel` of this configuration, predicting noise under linear betas, as a denoiser."""
    betas = torch.linspace(FIRST_BETA, LAST_BETA, TIMES, dtype=torch.float64)
    network = _diffusers().UNet2DModel(**config)
    return VariancePreservingDenoiser(network, (1 - betas).cumprod(dim=0), image_shape=_shape(config))


def save_score_model(model: nn.Module, out: Path, card: dict[str, Any]) -> Path:
    """Writes a network made by `unet` in the format of diffusers, as its `DDPMPipeline` reads it; returns `out`.

    Arguments:
        model: A trained network made by `unet`.
        out: The folder.
        card: Facts about it, written as `model.json` and `README.md`.
    """
    if not isinstance(model, VariancePreservingDenoiser):
        raise TypeError(f"expected a VariancePreservingDenoiser, got {type(model).__name__}")
    network: Any = model.network
    scheduler = _diffusers().DDPMScheduler(
        num_train_timesteps=TIMES, beta_start=FIRST_BETA, beta_end=LAST_BETA, beta_schedule="linear"
    )
    network.save_pretrained(out / "unet")
    scheduler.save_pretrained(out / "scheduler")
    index = {
        "_class_name": "DDPMPipeline",
        "_diffusers_version": _diffusers().__version__,
        "scheduler": ["diffusers", "DDPMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    }
    (out / "model_index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    card = {
        **card,
        "parameters": sum(p.numel() for p in network.parameters()),
        "sha256": digest(out / "unet" / "diffusion_pytorch_model.safetensors", "sha256"),
    }
    (out / "model.json").write_text(json.dumps(card, indent=1), encoding="utf-8")
    write_card(out, card, f"--score-model diffusers:{out}")
    return out


def _diffusers() -> Any:
    try:
        return importlib.import_module("diffusers")
    except ImportError as error:
        raise missing("diffusers", error) from error


def _download(repository: str) -> Path:
    """The repository's files in the hub's own cache, downloaded if missing; the hub's client resumes broken downloads."""
    download = importlib.import_module("huggingface_hub").snapshot_download
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # it logs every attempt; the last error is raised
    try:
        folder = Path(download(repository, allow_patterns=["*.json", "*.safetensors"]))
        if not list(folder.rglob("*.safetensors")):
            folder = Path(download(repository, allow_patterns=["*.json", "*.bin"]))  # only tensors are unpickled
    except Exception as error:  # from the hub's client, the network or the disk
        raise UserError(
            "hub-download", repository=repository, kind=type(error).__name__, error=" ".join(str(error).split())[:200]
        ) from error
    return folder


def _config(path: Path, place: str) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError("hub-file-missing", file=path.name, folder=path.parent, error=error, place=place) from error
    if not isinstance(config, dict):
        raise UserError("hub-config-damaged", path=path, kind=type(config).__name__)
    return config


def _check_kind(config: dict[str, Any], convention: str, place: str) -> None:
    kind = config.get("_class_name")
    if kind != "UNet2DModel":
        raise UserError("hub-model-kind", place=place, kind=kind, advice=ADVICE)
    if config.get("class_embed_type") or config.get("num_class_embeds"):
        raise UserError("hub-model-conditional", place=place)
    wanted, got = (
        "fourier" if convention == EXPLODING else "positional",
        config.get("time_embedding_type", "positional"),
    )
    if got != wanted:
        raise UserError("hub-model-time", wanted=wanted, convention=convention, place=place, got=got, advice=ADVICE)
    inputs, outputs = config.get("in_channels", 3), config.get("out_channels", 3)
    if outputs not in (inputs, 2 * inputs):  # twice as many with a learned variance
        raise UserError("hub-model-channels", place=place, outputs=outputs, inputs=inputs, advice=ADVICE)


def _check_pixels(folder: Path, place: str) -> None:
    """Raises `UserError` for a pipeline with an autoencoder, which denoises latents, not pixels."""
    file = folder / "model_index.json"
    parts = _config(file, place) if file.exists() else {}
    latent = next((name for name in ("vae", "vqvae") if name in parts), None)
    if latent:
        raise UserError("hub-model-latent", place=place, latent=latent)


def _shape(config: dict[str, Any]) -> tuple[int, int, int] | None:
    size = config.get("sample_size")
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    return config.get("in_channels", 3), height, width
