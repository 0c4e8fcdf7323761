"""The commands `bench train classifier` and `bench train score`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from bench.cli.options import DataDir, Device, Quiet

TrainingData = Annotated[
    str,
    typer.Option(help="fashion-mnist, cifar10-jpeg, ... (their training images), npz:PATH or folder:PATH."),
]
Epochs = Annotated[Optional[int], typer.Option(help="Passes over the images. [default: the recipe's]")]


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    commands = typer.Typer(
        rich_markup_mode=None,
        help="Train a classifier or a score model by a recorded recipe.\n\nExample: bench train classifier --out my-classifier",
    )
    commands.command("classifier")(train_classifier)
    commands.command("score")(train_score)
    app.add_typer(commands, name="train")


def train_classifier(
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, weights, curve and card.")] = Path("classifier"),
    dataset: TrainingData = "fashion-mnist",
    data_dir: DataDir = None,
    epochs: Epochs = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and augmentation.")] = 0,
    adversarial: Annotated[
        bool, typer.Option("--adversarial", help="Train on adversarial examples (Madry et al. 2018).")
    ] = False,
    threat: Annotated[
        Optional[str], typer.Option(help="With --adversarial: its threat, linf:8/255, ... [default: the data set's]")
    ] = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train a classifier; after a kill, the same command resumes.

    Example: bench train classifier --out my-classifier, then bench run --classifier weights:my-classifier/model.safetensors
    """
    _train(
        "classifier",
        dataset,
        quiet,
        out=out,
        data_dir=data_dir,
        epochs=epochs,
        seed=seed,
        device=device,
        adversarial=adversarial,
        threat=threat,
    )


def train_score(
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, weights, curve and card.")] = Path("score"),
    dataset: TrainingData = "fashion-mnist",
    data_dir: DataDir = None,
    epochs: Epochs = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and noise.")] = 0,
    form: Annotated[
        str,
        typer.Option(
            "--format", help="weights (a small U-Net), or diffusers (a UNet2DModel in that library's format)."
        ),
    ] = "weights",
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train a score model; after a kill, the same command resumes.

    Example: bench train score --out my-score, then bench run --score-model weights:my-score/model.safetensors;
    or: bench train score --format diffusers --out my-score, then bench run --score-model diffusers:my-score
    """
    _train("score", dataset, quiet, out=out, data_dir=data_dir, epochs=epochs, seed=seed, device=device, form=form)


def _train(kind: str, dataset: str, quiet: bool, *, threat: str | None = None, **options: Any) -> None:
    from bench.registry.tables import make_registry
    from bench.threat import ThreatModel

    parsed = None if threat is None else ThreatModel.parse(threat)
    registry = make_registry()
    registry.find("datasets", dataset)

    from bench.models.training.recipes import train_network

    path = train_network(
        kind,
        dataset=dataset,
        threat=parsed,
        registry=registry,
        **options,
        report=lambda line: None if quiet else print(line, file=sys.stderr, flush=True),
    )
    print(path)
