"""The networks inside the package, and networks that `bench train` wrote."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from bench.models.weights import EMBEDDED, read_weights


def fashion_mnist_classifier() -> nn.Module:
    """A classifier of Fashion-MNIST; its card holds its recipe and quality."""
    return read_weights(EMBEDDED / "fashion-mnist-classifier.safetensors")


def fashion_mnist_at() -> nn.Module:
    """An adversarially trained classifier of Fashion-MNIST; its card holds its recipe and quality."""
    return read_weights(EMBEDDED / "fashion-mnist-at.safetensors")


def fashion_mnist_score_model() -> nn.Module:
    """A score model of Fashion-MNIST; its card holds its recipe and quality."""
    return read_weights(EMBEDDED / "fashion-mnist-score.safetensors")


def weights(*, path: str) -> nn.Module:
    """The network at `path` (`.safetensors`), with its card beside it."""
    return read_weights(Path(path))
