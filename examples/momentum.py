"""An example attack: a function, its keyword-only arguments, and a bound on its cost."""

import torch
from torch import Tensor

from bench.ball import project, steepest
from bench.defended import DefendedClassifier
from bench.losses import cross_entropy
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images
from bench.threat import ThreatModel


def momentum(
    model: DefendedClassifier,
    x: Images,
    y: Tensor,
    threat: ThreatModel,
    noise: Noise,
    *,
    steps: int = 20,
    decay: float = 1.0,
) -> Images:
    """The momentum iterative method (Dong et al. 2018, https://arxiv.org/abs/1710.06081), each step on a fresh draw."""
    z, velocity = x, torch.zeros_like(x)
    for k in range(steps):
        _, _, gradient = model.differentiate(z, y, noise.after(k), cross_entropy)
        size = gradient.abs().mean(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)  # per image, never over the batch
        velocity = decay * velocity + gradient / size
        z = project(z + threat.radius / steps * steepest(velocity, threat), x, threat)
    return z


def work(*, steps: int, **_: object) -> Work:
    """The most work it does for an image, for `--dry-run`; optional."""
    return Work(gradients=steps)


if __name__ == "__main__":
    from bench.testing import check_attack, report

    raise SystemExit(report(check_attack, momentum))
