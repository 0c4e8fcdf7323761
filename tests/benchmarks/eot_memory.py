"""Peak memory of one full-gradient estimate with 1 and with 20 draws, each in a process of its own. Bar: 1.15.

The C library is told to hand freed memory back at once, so that the peak is what is in use and not what it keeps in store.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys

BATCH = 64


def peak(draws: int) -> float:
    """Peak resident memory above that before the estimate, in MB, in this process."""
    import torch

    from bench.data.fashion_mnist import fashion_mnist
    from bench.defended import DefendedClassifier
    from bench.losses import carlini_wagner
    from bench.models.embedded import fashion_mnist_classifier, fashion_mnist_score_model
    from bench.noise import Noise
    from defenses.denoise_once import DenoiseOnce

    torch.set_num_threads(1)
    data = fashion_mnist()
    x, y = torch.from_numpy(data.floats(slice(0, BATCH))), torch.from_numpy(data.labels[:BATCH])
    noise = Noise(0, torch.arange(BATCH), "attack")
    model = DefendedClassifier(fashion_mnist_classifier(), DenoiseOnce(score=fashion_mnist_score_model()), chunk=BATCH)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.expect(x, y, noise.spread(draws), carlini_wagner)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3


def main() -> None:
    if len(sys.argv) > 1:
        print(peak(int(sys.argv[1])))
        return
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    peaks = {
        draws: float(
            subprocess.run(
                [sys.executable, __file__, str(draws)], check=True, capture_output=True, env=environment
            ).stdout
        )
        for draws in (1, 20)
    }
    for draws, megabytes in peaks.items():
        print(f"EOT {draws:2d}   peak {megabytes:.0f} MB above the start")
    print(f"ratio EOT 20 to EOT 1: {peaks[20] / peaks[1]:.3f} (bar 1.15)")


if __name__ == "__main__":
    main()
