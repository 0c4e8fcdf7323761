"""The embedded networks in channels-last against contiguous memory, measured side by side: forward, and forward with backward.

Prints the ratio of times (below 1: channels last is faster), the best of several alternating rounds.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.models.embedded import fashion_mnist_classifier, fashion_mnist_score_model

ROUNDS, CALLS = 6, 8
Network = Callable[[Tensor], Tensor]


def main() -> None:
    classifier, score = fashion_mnist_classifier(), fashion_mnist_score_model()
    for batch in (16, 50, 64):
        x = torch.rand(batch, 1, 28, 28)
        for name, module in (("classifier", classifier), ("score model", score)):
            compare(f"{name:11} batch {batch}", module, x)


def compare(title: str, module: nn.Module, x: Tensor) -> None:
    formats = (torch.channels_last, torch.contiguous_format)
    networks = [network_of(copy.deepcopy(module).to(memory_format=layout)) for layout in formats]
    for work in (forward, gradient):
        times = [[seconds(work, network, x) for network in networks] for _ in range(ROUNDS)]
        last, contiguous = (min(column) for column in zip(*times, strict=True))
        print(
            f"{title} {work.__name__:8} {1e3 * last:6.2f} ms against {1e3 * contiguous:6.2f} ms, ratio {last / contiguous:.2f}"
        )


def network_of(module: nn.Module) -> Network:
    return (lambda x: module.denoise(x, 0.25)) if hasattr(module, "denoise") else module


def forward(network: Network, x: Tensor) -> None:
    with torch.no_grad():
        network(x)


def gradient(network: Network, x: Tensor) -> None:
    leaf = x.clone().requires_grad_()
    torch.autograd.grad(network(leaf).sum(), leaf)


def seconds(work: Callable[[Network, Tensor], None], network: Network, x: Tensor) -> float:
    started = time.perf_counter()
    for _ in range(CALLS):
        work(network, x)
    return (time.perf_counter() - started) / CALLS


if __name__ == "__main__":
    main()
