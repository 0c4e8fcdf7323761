"""Calls the attack of a run and checks its contract."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bench.defended import DefendedClassifier
from bench.errors import AttackError, BenchError
from bench.foreign import kept_folder, out_of_memory
from bench.noise import Noise
from bench.plan.plan import Plan
from bench.protocols import Images
from bench.run.scoring import distance
from bench.threat import ThreatModel


def attacked(plan: Plan, view: DefendedClassifier, x: Images, y: Tensor, noise: Noise) -> Images:
    """Adversarial images of a plan's attack.

    Arguments:
        plan: The plan of the run.
        view: The attacker's view.
        x: Images.
        y: Labels `(B,)`.
        noise: The attacker's streams.

    Raises:
        AttackError: The attack failed, or returned something else than images in the ball.
    """
    name = plan.spec.attack.name
    view.pace.start()
    try:
        with kept_folder():
            result = plan.attack(view, x, y, plan.threat, noise)
    except BenchError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        raise AttackError("attack-failed", name=name, kind=type(error).__name__, error=error) from error
    images = _images_of(name, result, x).detach()
    check_in_ball(name, images, x, plan.threat, noise.ids)
    return images


def check_in_ball(name: str, result: Images, x: Images, threat: ThreatModel, ids: Tensor) -> None:
    """Raises `AttackError`, naming the attack and the samples, unless every image is in the ball and in [0, 1]."""
    outside = ~(distance(result - x, threat) <= threat.furthest)
    outside |= ~((result >= 0) & (result <= 1)).flatten(1).all(dim=1)
    if outside.any():
        raise AttackError("attack-left-ball", name=name, threat=threat, ids=ids[outside].tolist())


def by_image(remarks: dict[str, list[Any]], count: int, name: str) -> list[dict[str, Any]]:
    """The attack's remarks, one mapping per image.

    Arguments:
        remarks: For each kind of remark, one value per image.
        count: The number of images.
        name: The attack.

    Raises:
        AttackError: The number of values is not that of the images.
    """
    for key, values in remarks.items():
        if len(values) != count:
            raise AttackError("attack-remarks", name=name, count=count, got=len(values), key=key)
    return [{key: values[row] for key, values in remarks.items()} for row in range(count)]


def _images_of(name: str, result: object, x: Images) -> Images:
    """The result of an attack, if it has the shape and dtype of the images."""
    if not isinstance(result, Tensor):
        got = type(result).__name__
    elif result.shape != x.shape or result.dtype != x.dtype:
        got = f"{result.dtype} of shape {tuple(result.shape)}"
    else:
        return result
    raise AttackError("attack-output", name=name, dtype=x.dtype, shape=tuple(x.shape), got=got)
