"""The attacker's gradient is finite: where data lie, between, and where attacks go."""

from __future__ import annotations

from contextlib import suppress

from bench.ball import project, steepest, uniform_in_ball
from bench.claims.gradient import look
from bench.claims.twin import LOST, Twin, interior
from bench.defended import DefendedClassifier
from bench.errors import BenchError
from bench.losses import carlini_wagner
from bench.noise import Noise
from bench.protocols import Images
from bench.records.claim import Claim, judged
from bench.spoiled import FINITE, GRADIENT, Spoiled
from bench.threat import ThreatModel

STEPS = 3
"""Of steepest ascent, each of half a radius."""
ARISES = "torch.where after a division, a square root, a power below 1 or a norm at 0, and a logarithm of 0 give NaN or infinity; make the argument safe before it, as in s = torch.where(s > 0, s, 1)"
MEANS = f"an attack cannot follow a gradient that is not finite, so that robustness is overstated; {ARISES}"


def finite(model: DefendedClassifier, x: Images, noise: Noise, threat: ThreatModel, twin: Twin | None) -> Claim:
    """The images whose gradient, or the l2 norm of it, is not finite: at themselves, between (`interior`), and on the way of a
    short ascent in the ball; in the run's type, and in double precision where that can be had.

    Arguments:
        model: The attacker's view under full gradients.
        x: A few images as the data set has them.
        noise: Their draws.
        threat: The ball.
        twin: The view's copy in double.
    """
    between = interior(x, noise)
    last, climbed = ascent(model, x, noise, threat)
    counts = _counts(model, {"images": x, "interior": between.to(x.dtype)}, noise) | climbed
    if twin is not None:
        places = {"images, float64": x, "interior, float64": between, "ascent, float64": last}
        counts |= _counts(
            twin.model, {name: points.cpu().double() for name, points in places.items()}, twin.noise, LOST
        )
    return judged(FINITE, counts, 0, not any(counts.values()) if counts else None, MEANS)


def ascent(model: DefendedClassifier, x: Images, noise: Noise, threat: ThreatModel) -> tuple[Images, dict[str, int]]:
    """The end of a few steps up the negative margin of the class that the images are taken for, from a random start as attacks
    have it; and how many images met a gradient on the way that was not finite, if none of the points stopped it.

    Arguments:
        model: The attacker's view.
        x: Images.
        noise: Their draws.
        threat: The ball.
    """
    z, spoiled = uniform_in_ball(x, threat, noise.of("check")), Spoiled()
    view = model.reporting(spoiled)
    try:
        y = view(x, noise).detach().argmax(dim=1)
        for _ in range(STEPS):
            _, _, gradient = view.differentiate(z, y, noise, carlini_wagner)
            z = project(z + threat.radius / 2 * steepest(gradient, threat), x, threat)
    except BenchError:  # the purifier gives no images there: the run will say so if it comes there
        return z, {}
    return z, {"ascent": len(spoiled.counts.get(GRADIENT, {}))}


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


def _counts(
    model: DefendedClassifier, places: dict[str, Images], noise: Noise, unmeasured: tuple[type[Exception], ...] = ()
) -> dict[str, int]:
    """Of each place that can be looked at, the images whose gradient is not finite there."""
    counts = {}
    for name, points in places.items():
        with suppress(BenchError, *unmeasured):
            counts[name] = spoiled_images(model, points, noise)
    return counts
