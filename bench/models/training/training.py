"""Training with checkpoints: a killed training resumes with identical results."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.files.atomic import replacing
from bench.models.card import write_curve
from bench.models.training.objectives import Loss
from bench.models.training.recipe import Recipe
from bench.models.weights import STORED, build, write_model

CPU = torch.device("cpu")
WARM_UP = 200
"""Steps until the largest learning rate, at most a tenth of all steps."""
Figures = Callable[[nn.Module], dict[str, Any]]
"""Measures the quality of a trained model, for its card."""
SAVED_EVERY = 120.0
"""Seconds between checkpoints inside an epoch; each end of an epoch has one too."""
Save = Callable[[nn.Module, Path, dict[str, Any]], Path]


def train(
    recipe: Recipe,
    loss: Loss,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    out: Path,
    figures: Figures,
    dataset: str = "",
    save: Save = write_model,
    device: torch.device = CPU,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Trains to the end of the recipe, resuming from `out/checkpoint.pt` if it exists; returns the path of the weights.

    Arguments:
        recipe: The recipe.
        loss: Scalar loss of a batch.
        images: Training images, uint8 `(N, C, H, W)`.
        labels: Training labels `(N,)`.
        out: Folder for the checkpoint, the curve (`curve.csv`, `curve.svg`), the weights and their card (`model.json`, `README.md`).
        figures: Measures the quality of the trained model, on the CPU, for its card.
        dataset: Name of the images in the card.
        save: Writes the trained weights.
        device: The device; a GPU, or a recipe in bfloat16, runs under autocast to bfloat16. Weights, order and noise are drawn
            on the CPU, so they are the same on every device.
        report: Receives one line per epoch.

    Raises:
        UserError: The images do not fill one batch, or the checkpoint is another recipe's or of other images.
    """
    if len(images) < recipe.batch:
        raise UserError("train-too-few-images", batch=recipe.batch, count=len(images))
    out.mkdir(parents=True, exist_ok=True)
    steps = recipe.epochs * (len(images) // recipe.batch)
    state = _Training(recipe, out / "checkpoint.pt", steps=steps, device=device, data=_digest(images, labels))
    while state.epoch < recipe.epochs:
        started = time.monotonic()
        value = state.run_epoch(loss, images, labels)
        write_curve(out, state.curve)
        report(f"epoch {state.epoch}/{recipe.epochs}  loss {value:.4f}  {time.monotonic() - started:.0f} s")
    model = state.averaged()
    return save(model, out, _card(recipe, dataset, images, state.curve) | {"figures": figures(model)})


def _card(recipe: Recipe, dataset: str, images: np.ndarray, curve: list[float]) -> dict[str, Any]:
    return {
        "recipe": recipe.as_dict(),
        "dataset": dataset,
        "trained_on": len(images),
        "image_shape": list(images.shape[1:]),
        "curve": curve,
    }


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class _Training:
    """Weights, their average, the optimizer and the curve; one epoch is a pure function of (state, seed, epoch)."""

    def __init__(self, recipe: Recipe, path: Path, *, steps: int, device: torch.device, data: str) -> None:
        self.recipe, self.path, self.steps, self.device, self.data = recipe, path, steps, device, data
        self.model = build(recipe.architecture, recipe.arguments)
        initialise(self.model, torch.Generator().manual_seed(recipe.seed))
        self.model.to(device)
        self.average = [p.detach().clone() for p in self.model.parameters()]
        self.optimizer = torch.optim.AdamW(self.model.parameters(), recipe.rate, weight_decay=recipe.decay)
        self.epoch, self.step = 0, 0
        self.curve: list[float] = []
        self.total = 0.0  # of an epoch that was interrupted: the sum of its losses, the state of its generator
        self.drawn: Tensor | None = None
        self.saved = time.monotonic()
        if path.exists():
            self._restore(torch.load(path, map_location=device, weights_only=True))  # tensors and numbers only

    def run_epoch(self, loss: Loss, images: np.ndarray, labels: np.ndarray) -> float:
        """One pass over the images, or the rest of one; writes checkpoints; returns the mean loss of the pass."""
        generator = torch.Generator().manual_seed(1_000_003 * (self.recipe.seed + 1) + self.epoch)
        order = torch.randperm(len(images), generator=generator).numpy()
        if self.drawn is not None:
            generator.set_state(self.drawn)
        batch = self.recipe.batch
        batches = len(images) // batch
        for k in range(self.step - self.epoch * batches, batches):
            rows = order[k * batch : (k + 1) * batch]
            x = torch.from_numpy(images[rows].astype(np.float32) / 255).to(self.device)
            y = torch.from_numpy(labels[rows]).to(self.device)
            self.total += self._update(self._loss(loss, x, y, generator))
            if time.monotonic() - self.saved > SAVED_EVERY:
                self.drawn = generator.get_state()
                self._save()
        mean = self.total / batches
        self.epoch, self.total, self.drawn = self.epoch + 1, 0.0, None
        self.curve.append(round(mean, 5))
        self._save()
        return mean

    def _loss(self, loss: Loss, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        recipe, kind = self.recipe, self.device.type
        x = recipe.augmentation(x, generator) if recipe.augmentation else x
        with torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda" or recipe.precision == "bfloat16"):
            return loss(self.model, x, y, generator)

    def averaged(self) -> nn.Module:
        """The model with its averaged weights as they are stored, frozen and in inference mode."""
        stored = STORED.get(self.recipe.storage)
        with torch.no_grad():
            for parameter, average in zip(self.model.parameters(), self.average, strict=True):
                parameter.copy_(average if stored is None else average.to(stored))
        return self.model.cpu().eval().requires_grad_(False)

    def _update(self, value: Tensor) -> float:
        recipe, done = self.recipe, self.step / self.steps
        warm_up = max(1, min(WARM_UP, self.steps // 10))
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate * min(1.0, self.step / warm_up) * (1 + math.cos(math.pi * done)) / 2
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
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "curve": self.curve,
            "total": self.total,
            "drawn": self.drawn,
            "recipe": self.recipe.as_dict(),
            "data": self.data,
        }
        with replacing(self.path) as file:
            torch.save(state, file)
        self.saved = time.monotonic()

    def _restore(self, state: dict) -> None:
        if state.get("recipe", self.recipe.as_dict()) != self.recipe.as_dict():
            raise UserError("checkpoint-other-recipe", path=self.path)
        if state.get("data", self.data) != self.data:
            raise UserError("checkpoint-other-images", path=self.path)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.epoch = state["average"], state["epoch"]
        self.step, self.curve = state["step"], state["curve"]
        self.total, self.drawn = state.get("total", 0.0), state.get("drawn")
        if self.drawn is not None:
            self.drawn = self.drawn.cpu()  # the generator is there


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Draws initial weights from `generator` only; the last layer of a residual branch starts at zero."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=5**0.5, generator=generator)
            if name.endswith(("second", "conv2", "conv_out")):
                nn.init.zeros_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
