"""Several attacks in turn, each on the images that the earlier ones left unbroken."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks import apgd, square
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images
from bench.search import Search
from bench.threat import ThreatModel

LOSS_OF = {"apgd-ce": "ce", "apgd-wide": "ce", "apgd-dlr": "dlr", "apgd-cw": "cw", "apgd-t": "target"}
APART = 1 << 20
"""Distance between the first draws of two members, so that no draw is used twice."""


def ensemble(
    model: DefendedClassifier,
    x: Images,
    y: Tensor,
    threat: ThreatModel,
    noise: Noise,
    *,
    members: tuple[str, ...] = ("apgd-ce", "apgd-wide", "apgd-t", "square"),
    steps: int = 100,
    targets: int = 9,
    queries: int = 5000,
    eot: int = 20,
    verdict: int = 20,
) -> Images:
    """Attacks in the order of `members`; an image is finished once no draw gets it right.

    Differences from the reference AutoAttack: a broken image stops at once, each image has its own random numbers, and FAB
    is replaced by a run of APGD that starts in balls of three and two radii. The other members run as long as there.

    References:
        Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks (Croce, Hein, 2020)
        https://arxiv.org/abs/2003.01690

    Arguments:
        model: The attacker's view.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        threat: The ball.
        noise: One stream per image.
        members: Among `apgd-ce`, `apgd-wide` (the same from wider balls), `apgd-dlr`, `apgd-cw`, `apgd-t`, `square`.
        steps: Gradient steps of a run of APGD.
        targets: Target classes of `apgd-t`.
        queries: Evaluations of `square`.
        eot: Fresh draws averaged in each estimate of a stochastic defense.
        verdict: Fresh draws on which the points of two members are compared there; an image continues while one draw is right.

    Raises:
        UserError: An argument is out of its range.
    """
    arguments = {"steps": steps, "targets": targets, "queries": queries, "eot": eot}
    _check(members, verdict)
    search = Search(model, x, y, noise.after(len(members) * APART), confirming=verdict)
    fallen_to: list[str | None] = [None] * len(x)
    for number, name in enumerate(members):
        rows = torch.nonzero(search.share > 0)[:, 0]
        if not len(rows):
            break
        later = sum((_work(other, model, arguments) for other in members[number + 1 :]), Work())
        draws = noise[rows].after(number * APART)
        points = _call(name, arguments)(model.before(later), x[rows], y[rows], threat, draws)
        search.confirm(rows, points)
        for row in rows[search.share[rows] == 0].tolist():
            fallen_to[row] = name
    model.remark(fallen_to=fallen_to)
    return search.best


def work(*, deterministic: bool, classes: int, members: tuple[str, ...], verdict: int, **arguments: int) -> Work:
    """The work of `ensemble` on an image that never breaks."""
    confirming = Work(evaluations=len(members) * (1 if deterministic else verdict))
    return sum((_formula(name, arguments, deterministic, classes) for name in members), confirming)


def _call(name: str, arguments: dict[str, int]) -> Callable[..., Images]:
    def attack(model: DefendedClassifier, x: Images, y: Tensor, threat: ThreatModel, noise: Noise) -> Images:
        if name == "square":
            return square.square(model, x, y, threat, noise, queries=arguments["queries"], eot=arguments["eot"])
        return apgd.apgd(
            model,
            x,
            y,
            threat,
            noise,
            steps=arguments["steps"],
            targets=arguments["targets"],
            eot=arguments["eot"],
            loss=LOSS_OF[name],
            start=_start_of(name),
        )

    return attack


def _work(name: str, model: DefendedClassifier, arguments: dict[str, int]) -> Work:
    return _formula(name, arguments, not model.stochastic, arguments["targets"] + 1)


def _formula(name: str, arguments: dict[str, int], deterministic: bool, classes: int) -> Work:
    if name == "square":
        return square.work(deterministic=deterministic, classes=classes, restarts=1, budget=None, **arguments)
    return apgd.work(
        deterministic=deterministic, classes=classes, restarts=1, loss=LOSS_OF[name], start=_start_of(name), **arguments
    )


def _start_of(name: str) -> str:
    return "wide" if name == "apgd-wide" else "random"


def _check(members: tuple[str, ...], verdict: int) -> None:
    names = (*LOSS_OF, "square")
    if not members or not set(members) <= set(names) or verdict < 1:
        raise UserError("ensemble-arguments", names=names, members=",".join(members), verdict=verdict)
