"""An attack that ascends under one draw alone, and a defense noisy enough for that to matter."""

from typing import ClassVar

from bench.ball import project, steepest
from bench.losses import carlini_wagner


class Defense:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        """Flips the sign of most of what is added to grey, anew for each draw."""
        return (0.5 + (x - 0.5) * (0.4 + 1.2 * noise.normal(x))).clamp(0, 1)


def attack(model, x, y, threat, noise, *, steps: int = 20):
    z = x
    for _ in range(steps):
        _, _, gradient = model.differentiate(z, y, noise, carlini_wagner)
        z = project(z + threat.radius / 4 * steepest(gradient, threat), x, threat)
    return z
