"""The attacker's gradient is finite: where data lie, between, and where attacks go."""

from __future__ import annotations

from bench.ball import project, steepest, uniform_in_ball
from bench.claims.claim import Claim, judged
from bench.claims.gradient import doubled, interior, look
from bench.defended import DefendedClassifier
from bench.errors import BenchError
from bench.losses import carlini_wagner
from bench.noise import Noise
from bench.plan import Plan
from bench.protocols import Images
from bench.spoiled import GRADIENT, Spoiled
from bench.threat import ThreatModel

CHECK = "finite gradients"
STEPS = 3
"""Of steepest ascent, each of half a radius."""
ARISES = "torch.where after a division, a square root, a power below 1 or a norm at 0, and a logarithm of 0 give NaN or infinity; make the argument safe before it, as in s = torch.where(s > 0, s, 1)"
MEANS = f"an attack cannot follow a gradient that is not finite, so that robustness is overstated; {ARISES}"


def finite(plan: Plan, model: DefendedClassifier, x: Images, noise: Noise) -> Claim:
    """The images whose gradient, or the l2 norm of it, is not finite: at themselves, between (`interior`), and at the points of a
    short ascent in the ball; in the run's type, and the last of these points in double precision, where that can be had.

    Arguments:
        plan: The parts of the run.
        model: The attacker's view under full gradients.
        x: A few images as the data set has them.
        noise: Their draws.
    """
    path = ascent(model, x, noise, plan.threat)
    places = {"images": [x], "interior": [interior(x, noise).to(x.dtype)], "ascent": path}
    counts = _counts(model, places, noise)
    twin = doubled(plan, len(x))
    if twin is not None:
        draws = Noise(noise.seed, noise.ids.cpu(), noise.purpose)
        last = {f"{name}, float64": [points[-1].cpu().double()] for name, points in places.items() if points}
        counts |= _counts(twin, last, draws)
    return judged(CHECK, counts, 0, not any(counts.values()) if counts else None, MEANS)


def ascent(model: DefendedClassifier, x: Images, noise: Noise, threat: ThreatModel) -> list[Images]:
    """The points of a few steps up the negative margin of the class that the images are taken for, from a random start as attacks
    have it; up to the first at which the defense gives no images.

    Arguments:
        model: The attacker's view.
        x: Images.
        noise: Their draws.
        threat: The ball.
    """
    points, view = [uniform_in_ball(x, threat, noise.of("check"))], model.reporting(Spoiled())
    try:
        y = view(x, noise).detach().argmax(dim=1)
        for _ in range(STEPS):
            _, _, gradient = view.differentiate(points[-1], y, noise, carlini_wagner)
            points.append(project(points[-1] + threat.radius / 2 * steepest(gradient, threat), x, threat))
    except BenchError:
        pass  # which the run will say of the first image that it happens to
    return points


def spoiled_images(model: DefendedClassifier, points: Images, noise: Noise) -> int:
    """The number of images whose gradient of a fixed projection of the logits is not finite.

    Arguments:
        model: The attacker's view.
        points: Images.
        noise: Their draws.
    """
    spoiled = Spoiled()
    look(model.reporting(spoiled), points, noise)
    return len(spoiled.counts.get(GRADIENT, {}))


def _counts(model: DefendedClassifier, places: dict[str, list[Images]], noise: Noise) -> dict[str, int]:
    """Of each place that can be looked at, the most images at one of its points."""
    counts = {}
    for name, points in places.items():
        try:
            found = [spoiled_images(model, one, noise) for one in points]
        except (RuntimeError, TypeError, NotImplementedError, BenchError):
            continue  # networks that cannot compute in double, or a purifier that gives no images there
        if found:
            counts[name] = max(found)
    return counts
