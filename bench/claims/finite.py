"""Checks that the attacker's gradient is finite: at the images, near them, and on the path of an attack."""

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
"""Steps of steepest ascent, each of half a radius."""
ARISES = "torch.where after a division, a square root, a power below 1 or a norm at 0, and a logarithm of 0 give NaN or infinity; make the argument safe before it, as in s = torch.where(s > 0, s, 1)"
MEANS = f"an attack cannot follow a gradient that is not finite, so that robustness is overstated; {ARISES}"


def finite(model: DefendedClassifier, x: Images, noise: Noise, threat: ThreatModel, twin: Twin | None) -> Claim:
    """Counts the images whose gradient, or its l2 norm, is not finite.

    The gradient is taken at the images, in the `interior`, and along a short ascent in the ball; in the run's dtype, and in
    double precision if there is a copy.

    Arguments:
        model: The attacker's view under full gradients.
        x: A few images of the data set.
        noise: Their draws.
        threat: The ball.
        twin: The view's copy in double precision.
    """
    inner = interior(x, noise)
    last, climbed = ascent(model, x, noise, threat)
    counts = _counts(model, {"images": x, "interior": inner.to(x.dtype)}, noise) | climbed
    if twin is not None:
        places = {"images, float64": x, "interior, float64": inner, "ascent, float64": last}
        counts |= _counts(
            twin.model, {name: points.cpu().double() for name, points in places.items()}, twin.noise, LOST
        )
    return judged(FINITE, counts, 0, not any(counts.values()) if counts else None, MEANS)


def ascent(model: DefendedClassifier, x: Images, noise: Noise, threat: ThreatModel) -> tuple[Images, dict[str, int]]:
    """Climbs the negative margin of the predicted class for a few steps, from a random start as attacks do.

    Returns the last points and the number of images that met a gradient which is not finite; no number if the purifier failed.

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
    except BenchError:  # the purifier fails there; a run that reaches such points reports it
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
    """For each place where the view can be evaluated, the number of images whose gradient is not finite."""
    counts = {}
    for name, points in places.items():
        with suppress(BenchError, *unmeasured):
            counts[name] = spoiled_images(model, points, noise)
    return counts
