"""The noise of one denoise-once evaluation against the whole of it, and the score model's forward. Bars: 8 %, 0.35 ms."""

from __future__ import annotations

import time

import torch

from bench.data.fashion_mnist import fashion_mnist
from bench.defended import DefendedClassifier
from bench.models.embedded import fashion_mnist_classifier, fashion_mnist_score_model
from bench.noise import Noise
from defenses.denoise_once import DenoiseOnce

BATCH, ROUNDS = 64, 30


def main() -> None:
    torch.set_num_threads(1)
    x = torch.from_numpy(fashion_mnist().floats(slice(0, BATCH)))
    score = fashion_mnist_score_model()
    model = DefendedClassifier(fashion_mnist_classifier(), DenoiseOnce(score=score), chunk=BATCH)
    noise = Noise(0, torch.arange(BATCH))
    with torch.no_grad():
        calls = {
            "noise": lambda: noise.normal(x),
            "evaluation": lambda: model(x, noise),
            "score forward": lambda: score.denoise(x, 0.3),
        }
        times = {name: [] for name in calls}
        for _ in range(ROUNDS):
            for name, call in calls.items():
                started = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - started)
    median = {name: sorted(values)[ROUNDS // 2] for name, values in times.items()}
    for name, value in median.items():
        print(f"{name:<13} {1e3 * value / BATCH:.4f} ms an image, one core, batch {BATCH}")
    print(f"noise is {100 * median['noise'] / median['evaluation']:.1f} % of an evaluation (bar 8 %)")


if __name__ == "__main__":
    main()
