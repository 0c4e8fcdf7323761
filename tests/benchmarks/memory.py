"""Peak memory of a full-gradient step through dpsam at K = 4 and K = 32, each in a process of its own.

The stored iterates (K images of the batch) are subtracted. Bar: 1.1.
"""

from __future__ import annotations

import resource
import subprocess
import sys

BATCH, BANK = 64, 4


def peak(steps: int) -> float:
    """Peak resident memory above that before the step, in MB, in this process."""
    import torch

    from bench.data.fashion_mnist import fashion_mnist
    from bench.defended import DefendedClassifier
    from bench.losses import carlini_wagner
    from bench.models.embedded import fashion_mnist_classifier, fashion_mnist_score_model
    from bench.noise import Noise
    from defenses.dpsam import DPSAM

    data = fashion_mnist()
    x, y = torch.from_numpy(data.floats(slice(0, BATCH))), torch.from_numpy(data.labels[:BATCH])
    noise = Noise(0, torch.arange(BATCH))
    classifier, score = fashion_mnist_classifier(), fashion_mnist_score_model()
    model = DefendedClassifier(classifier, DPSAM(score=score, steps=steps, bank=BANK), chunk=BATCH)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.differentiate(x, y, noise, carlini_wagner)
    iterates = steps * x.numel() * x.element_size() / 1e6
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3 - iterates


def main() -> None:
    if len(sys.argv) > 1:
        print(peak(int(sys.argv[1])))
        return
    peaks = {
        k: float(subprocess.run([sys.executable, __file__, str(k)], check=True, capture_output=True, text=True).stdout)
        for k in (1, 4, 8, 32)
    }
    for k, megabytes in peaks.items():
        print(f"K = {k:2d}   peak {megabytes:.0f} MB above the start, stored iterates left out")
    print(f"ratio K = 32 to K = 4: {peaks[32] / peaks[4]:.3f} (bar 1.1)")


if __name__ == "__main__":
    main()
