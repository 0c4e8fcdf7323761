"""One full-gradient step through diffpure against T bare passes of the score model, measured side by side.

The floor is T (forward + recomputation with a graph + backward) of the score model, and one forward and backward pass of the
classifier, called bare. Bar: 1.2.
"""

from __future__ import annotations

import torch
from stopwatch import seconds

from bench.data.fashion_mnist import fashion_mnist
from bench.defended import DefendedClassifier
from bench.losses import carlini_wagner
from bench.models.embedded import fashion_mnist_classifier, fashion_mnist_score_model
from bench.noise import Noise
from defenses.diffusion.diffpure import DiffPure

BATCH, STEPS, ROUNDS, SIGMA = 16, (10, 100), 7, 0.1


def main() -> None:
    data = fashion_mnist()
    x, y = torch.from_numpy(data.floats(slice(0, BATCH))), torch.from_numpy(data.labels[:BATCH])
    classifier, score = fashion_mnist_classifier(), fashion_mnist_score_model()
    noise = Noise(0, torch.arange(BATCH))
    for steps in STEPS:
        model = DefendedClassifier(classifier, DiffPure(score=score, steps=steps), chunk=BATCH)

        def floor(steps: int = steps) -> None:
            for _ in range(steps):
                with torch.no_grad():
                    score.denoise(x, SIGMA)
                leaf = x.clone().requires_grad_()
                torch.autograd.grad(score.denoise(leaf, SIGMA), leaf, x)
            leaf = x.clone().requires_grad_()
            torch.autograd.grad(carlini_wagner(classifier(leaf), y).sum(), leaf)

        def step(model: DefendedClassifier = model) -> None:
            model.differentiate(x, y, noise, carlini_wagner)

        ratios = []
        for k in range(ROUNDS + 1):
            mine, bare = seconds(step), seconds(floor)
            if k:  # the first round warms up
                ratios.append(mine / bare)
        print(
            f"T = {steps:3d}   step {mine:.3f} s   floor {bare:.3f} s   median ratio {sorted(ratios)[len(ratios) // 2]:.3f} (bar 1.2)"
            f"   {1e3 * mine / BATCH:.0f} ms an image on {torch.get_num_threads()} threads"
        )


if __name__ == "__main__":
    main()
