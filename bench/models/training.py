"""The recipes behind the embedded weights: train, keep the curve, go on after a kill, end with weights and a card."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UserError
from bench.models.adversarial import Adversary, pgd_figures
from bench.models.preconditioning import PreconditionedDenoiser
from bench.models.weights import build, write_weights

CPU = torch.device("cpu")
Loss = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained: AdamW under a cosine schedule with warm-up, gradient clipping, averaged weights.

    Arguments:
        architecture: A name in `bench.models.weights.ARCHITECTURES`.
        arguments: The architecture's arguments.
        epochs: Passes over the training images.
        batch: Images in a step.
        rate: Largest learning rate.
        decay: Weight decay.
        average: Decay of the exponential average of the weights; the average is what is kept.
        seed: Seed of the initial weights, the order and the noise.
        adversary: What replaces the training images of an adversarially trained classifier; None for plain training.
    """

    architecture: str
    arguments: dict
    epochs: int
    batch: int = 128
    rate: float = 2e-3
    decay: float = 1e-4
    average: float = 0.999
    seed: int = 0
    adversary: Adversary | None = None

    def as_dict(self) -> dict[str, Any]:
        """The recipe as cards and checkpoints keep it; plain training has no entry `adversary`."""
        return {key: value for key, value in asdict(self).items() if value is not None}


CLASSIFIER = Recipe(architecture="small-convnet", arguments={}, epochs=8)
ADVERSARIAL_CLASSIFIER = Recipe(architecture="small-convnet", arguments={"widths": [16, 32, 32, 32]}, epochs=12)
SCORE = Recipe(
    architecture="small-unet",
    arguments={"widths": [16, 64], "blocks": [1, 2], "mean": 0.286, "spread": 0.353, "low": 0.05, "high": 1.0},
    epochs=64,
)


def classification_loss(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """Cross-entropy on images flipped at random."""
    return F.cross_entropy(model(_flipped(x, generator)), y)


def adversarial_loss(adversary: Adversary) -> Loss:
    """Cross-entropy on adversarial examples of images flipped at random (Madry et al. 2018)."""

    def loss(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        return F.cross_entropy(model(adversary.examples(model, _flipped(x, generator), y, generator)), y)

    return loss


def denoising_loss(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """Squared error of the denoised images at noise levels `exp(N(-1.4, 0.9^2))`, weighted to unit scale (Karras et al. 2022)."""
    model = _denoiser(model)
    level = (torch.randn(len(x), generator=generator) * 0.9 - 1.4).exp().clamp(0.6 * model.low, 1.5 * model.high)
    level, noise = level.to(x.device), torch.randn(x.shape, generator=generator).to(x.device)
    noisy = x + level.view(-1, 1, 1, 1) * noise
    weight = (level**2 + model.spread**2) / (level * model.spread) ** 2
    return (weight * (model(noisy, level) - x).square().mean(dim=(1, 2, 3))).mean()


def train(
    recipe: Recipe,
    loss: Loss,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    out: Path,
    figures: Callable[[nn.Module], dict[str, Any]],
    device: torch.device = CPU,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Trains to the end of the recipe, going on from `out/checkpoint.pt` if there is one; returns the weights' path.

    Arguments:
        recipe: What to train and how.
        loss: Scalar loss of a batch.
        images: Training images, uint8 `(N, C, H, W)`.
        labels: Training labels `(N,)`.
        out: Folder for the checkpoint, the weights (`model.safetensors`) and their card (`model.json`).
        figures: Quality of the finished model, on the CPU, for its card.
        device: Where to train; weights, order and noise are drawn on the CPU, so they are the same everywhere.
        report: Receives one line per epoch.

    Raises:
        UserError: The images do not fill one batch, or the checkpoint is another recipe's.
    """
    if len(images) < recipe.batch:
        raise UserError(
            f"expected at least {recipe.batch} training images, one batch of the recipe, got {len(images)}; add images"
        )
    out.mkdir(parents=True, exist_ok=True)
    state = _Training(recipe, out / "checkpoint.pt", steps=recipe.epochs * (len(images) // recipe.batch), device=device)
    while state.epoch < recipe.epochs:
        started = time.monotonic()
        value = state.run_epoch(loss, images, labels)
        report(f"epoch {state.epoch}/{recipe.epochs}  loss {value:.4f}  {time.monotonic() - started:.0f} s")
    model = state.averaged()
    card = {"recipe": recipe.as_dict(), "trained_on": len(images), "curve": state.curve, "figures": figures(model)}
    return write_weights(model, out / "model.safetensors", card)


class _Training:
    """Weights, their average, the optimizer and the curve; one epoch is a pure function of (state, seed, epoch)."""

    def __init__(self, recipe: Recipe, path: Path, *, steps: int, device: torch.device) -> None:
        self.recipe, self.path, self.steps, self.device = recipe, path, steps, device
        self.model = build(recipe.architecture, recipe.arguments)
        initialise(self.model, torch.Generator().manual_seed(recipe.seed))
        self.model.to(device)
        self.average = [p.detach().clone() for p in self.model.parameters()]
        self.optimizer = torch.optim.AdamW(self.model.parameters(), recipe.rate, weight_decay=recipe.decay)
        self.epoch, self.step = 0, 0
        self.curve: list[float] = []
        if path.exists():
            self._restore(torch.load(path, map_location=device, weights_only=True))  # our own tensors and numbers

    def run_epoch(self, loss: Loss, images: np.ndarray, labels: np.ndarray) -> float:
        """One pass over the images; writes the checkpoint; returns the mean loss."""
        generator = torch.Generator().manual_seed(1_000_003 * (self.recipe.seed + 1) + self.epoch)
        order = torch.randperm(len(images), generator=generator).numpy()
        total, batch = 0.0, self.recipe.batch
        batches = len(images) // batch
        for k in range(batches):
            rows = order[k * batch : (k + 1) * batch]
            x = torch.from_numpy(images[rows].astype(np.float32) / 255).to(self.device)
            y = torch.from_numpy(labels[rows]).to(self.device)
            total += self._update(loss(self.model, x, y, generator))
        self.epoch += 1
        self.curve.append(round(total / batches, 5))
        self._save()
        return total / batches

    def averaged(self) -> nn.Module:
        """The model with its averaged weights, ready for inference."""
        with torch.no_grad():
            for parameter, average in zip(self.model.parameters(), self.average, strict=True):
                parameter.copy_(average)
        return self.model.cpu().eval().requires_grad_(False)

    def _update(self, value: Tensor) -> float:
        recipe, done = self.recipe, self.step / self.steps
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate * min(1.0, self.step / 200) * (1 + math.cos(math.pi * done)) / 2
        self.optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        weight = 1 - min(recipe.average, self.step / (self.step + 50))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [p.detach() for p in self.model.parameters()], weight)
        return value.item()

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(), "average": self.average, "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch, "step": self.step, "curve": self.curve, "recipe": self.recipe.as_dict(),
        }  # fmt: skip
        temporary = self.path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(self.path)

    def _restore(self, state: dict) -> None:
        if state.get("recipe", self.recipe.as_dict()) != self.recipe.as_dict():
            raise UserError(
                f"expected a checkpoint of the same recipe, seed and epochs in {self.path}, got one of another; choose another --out or remove it"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.epoch = state["average"], state["epoch"]
        self.step, self.curve = state["step"], state["curve"]


def _flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    flip = (torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5).to(x.device)
    return torch.where(flip, x.flip(3), x)


def _denoiser(model: nn.Module) -> PreconditionedDenoiser:
    if not isinstance(model, PreconditionedDenoiser):
        raise TypeError(f"expected a PreconditionedDenoiser, got {type(model).__name__}")
    return model


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Draws initial weights from `generator` alone; a residual branch starts at zero."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=5**0.5, generator=generator)
            if name.endswith("second"):
                nn.init.zeros_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def classifier_figures(
    images: np.ndarray, labels: np.ndarray, adversary: Adversary | None = None
) -> Callable[[nn.Module], dict[str, Any]]:
    """Accuracy on the given images, and under a short attack if there is an adversary, as a function of the classifier."""

    def figures(model: nn.Module) -> dict[str, Any]:
        x = torch.from_numpy(images.astype(np.float32) / 255)
        hits = torch.cat([model(part).argmax(dim=1) for part in x.split(500)]).numpy() == labels
        robust = {"under_pgd": pgd_figures(model, images, labels, adversary.threat)} if adversary else {}
        return {"test_accuracy": float(hits.mean()), **robust}

    return figures


def score_figures(images: np.ndarray) -> Callable[[nn.Module], dict[str, float]]:
    """Root mean squared error per noise level on the given images, in pixel units, as a function of the score model."""

    def figures(model: nn.Module) -> dict[str, float]:
        model = _denoiser(model)
        x = torch.from_numpy(images.astype(np.float32) / 255)
        generator = torch.Generator().manual_seed(0)
        errors = {}
        for sigma in (0.05, 0.1, 0.2, 0.3, 0.5, 1.0):
            noisy = x + sigma * torch.randn(x.shape, generator=generator)
            clean = torch.cat([model.denoise(part, sigma) for part in noisy.split(500)])
            errors[f"rmse_at_{sigma:g}"] = float((clean - x).square().mean().sqrt())
        return errors

    return figures
