"""One full-gradient step through dpsam against its constant-memory floor, measured side by side.

The floor is K (2 gradients + 2 Hessian-vector products of the reconstruction error) and one forward and backward pass
of the classifier, called bare. Bar: 1.2.
"""

from __future__ import annotations

import torch
from stopwatch import seconds

from bench.data.fashion_mnist import fashion_mnist
from bench.defended import DefendedClassifier
from bench.losses import carlini_wagner
from bench.models.embedded import fashion_mnist_classifier, fashion_mnist_score_model
from bench.noise import Noise
from defenses.dpsam import DPSAM

BATCH, ROUNDS = 16, 7


def main() -> None:
    data = fashion_mnist()
    x, y = torch.from_numpy(data.floats(slice(0, BATCH))), torch.from_numpy(data.labels[:BATCH])
    classifier, score = fashion_mnist_classifier(), fashion_mnist_score_model()
    defense = DPSAM(score=score)
    model = DefendedClassifier(classifier, defense, chunk=BATCH)
    noise, bank = Noise(0, torch.arange(BATCH)), defense.noise_bank(x)

    def gradient(graph: bool) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = x.clone().requires_grad_()
        return leaf, torch.autograd.grad(defense.error(bank, leaf).sum(), leaf, create_graph=graph)[0]

    def floor() -> None:
        for _ in range(defense.steps):
            for _ in range(2):
                gradient(graph=False)
                leaf, g = gradient(graph=True)
                torch.autograd.grad(g, leaf, x)
        leaf = x.clone().requires_grad_()
        torch.autograd.grad(carlini_wagner(classifier(leaf), y).sum(), leaf)

    def step() -> None:
        model.differentiate(x, y, noise, carlini_wagner)

    ratios = []
    for k in range(ROUNDS + 1):
        mine, bare = seconds(step), seconds(floor)
        if k:  # the first round warms up
            ratios.append(mine / bare)
            print(f"step {mine:.3f} s   floor {bare:.3f} s   ratio {mine / bare:.3f}")
    print(
        f"median ratio {sorted(ratios)[len(ratios) // 2]:.3f} (bar 1.2); {1e3 * mine / BATCH:.0f} ms an image on {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
