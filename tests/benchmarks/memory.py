"""Peak memory of a full-gradient step through dpsam at K = 4 and K = 32, each in a process of its own.

The stored iterates (K images of the batch) are subtracted. Bar: 1.1. With the word `diffusers`: through an untrained
`UNet2DModel` of the shipped recipe instead of the embedded score model, at a smaller batch.
"""

from __future__ import annotations

import resource
import subprocess
import sys

BATCH, SMALLER_BATCH, BANK = 64, 8, 4


def score_model(kind: str) -> object:
    """The embedded score model, or one in the format of diffusers."""
    from bench.models.embedded import fashion_mnist_score_model
    from bench.models.hub import unet
    from bench.models.training.recipe import DIFFUSERS_SCORE

    if kind != "diffusers":
        return fashion_mnist_score_model()
    shape = {"sample_size": 28, "in_channels": 1, "out_channels": 1}
    return unet(**DIFFUSERS_SCORE.arguments, **shape).eval().requires_grad_(False)


def peak(steps: int, kind: str) -> float:
    """Peak resident memory above that before the step, in MB, in this process."""
    import torch

    from bench.data.fashion_mnist import fashion_mnist
    from bench.defended import DefendedClassifier
    from bench.losses import carlini_wagner
    from bench.models.embedded import fashion_mnist_classifier
    from bench.noise import Noise
    from defenses.dpsam import DPSAM

    data, batch = fashion_mnist(), SMALLER_BATCH if kind == "diffusers" else BATCH
    x, y = torch.from_numpy(data.floats(slice(0, batch))), torch.from_numpy(data.labels[:batch])
    noise = Noise(0, torch.arange(batch))
    classifier, score = fashion_mnist_classifier(), score_model(kind)
    model = DefendedClassifier(classifier, DPSAM(score=score, steps=steps, bank=BANK), chunk=batch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.differentiate(x, y, noise, carlini_wagner)
    iterates = steps * x.numel() * x.element_size() / 1e6
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3 - iterates


def main() -> None:
    kind = "diffusers" if "diffusers" in sys.argv else "embedded"
    if sys.argv[-1].isdigit():
        print(peak(int(sys.argv[-1]), kind))
        return
    peaks = {}
    for k in (1, 4, 8, 32):
        command = [sys.executable, __file__, kind, str(k)]
        peaks[k] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for k, megabytes in peaks.items():
        print(f"K = {k:2d}   peak {megabytes:.0f} MB above the start, stored iterates left out")
    print(f"ratio K = 32 to K = 4: {peaks[32] / peaks[4]:.3f} (bar 1.1)")


if __name__ == "__main__":
    main()
