"""Peak memory of a full-gradient step through diffpure and the other purifiers at 10 and 100 steps, each in a process of its own.

The stored states (as many images of the batch as a step carries, for each step) are subtracted. Every freed image goes back to the system
(MALLOC_MMAP_THRESHOLD_), so that what is measured is memory in use, not how the C library's heap is split up. Bar: 1.2.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys

BATCH = 64


def peak(name: str, steps: int) -> float:
    """Peak resident memory above that before the step, in MB, in this process."""
    import torch

    from bench.data.fashion_mnist import fashion_mnist
    from bench.defended import DefendedClassifier
    from bench.losses import carlini_wagner
    from bench.models.embedded import fashion_mnist_classifier, fashion_mnist_score_model
    from bench.noise import Noise
    from defenses.diffusion.diffpure import DiffPure
    from defenses.diffusion.gdmp import GDMP
    from defenses.lm import LikelihoodMaximization

    data = fashion_mnist()
    x, y = torch.from_numpy(data.floats(slice(0, BATCH))), torch.from_numpy(data.labels[:BATCH])
    classifier, score = fashion_mnist_classifier(), fashion_mnist_score_model()
    defense, carried = {
        "diffpure": (DiffPure(score=score, steps=steps), 1),
        "lm": (LikelihoodMaximization(score=score, steps=steps, step_size=0.01), 3),
        "gdmp": (GDMP(score=score, rounds=1, t=100, steps=steps, scale=0.0), 1),
    }[name]
    model = DefendedClassifier(classifier, defense, chunk=BATCH)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.differentiate(x, y, Noise(0, torch.arange(BATCH)), carlini_wagner)
    states = carried * steps * x.numel() * x.element_size() / 1e6
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3 - states


def main() -> None:
    if len(sys.argv) > 1:
        print(peak(sys.argv[1], int(sys.argv[2])))
        return
    for name in ("diffpure", "lm", "gdmp"):
        peaks = {}
        for steps in (10, 100):
            words = [sys.executable, __file__, name, str(steps)]
            environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
            done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
            peaks[steps] = float(done.stdout)
        print(
            f"{name:9s} T = 10: {peaks[10]:.0f} MB, T = 100: {peaks[100]:.0f} MB above the start, stored states left out; "
            f"ratio {peaks[100] / peaks[10]:.3f} (bar 1.2)"
        )


if __name__ == "__main__":
    main()
