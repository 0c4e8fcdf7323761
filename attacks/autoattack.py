"""AutoAttack by its reference code, with keyed draws; its warnings become data of the record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from attacks.versions import MEMBERS, check_classes, cost, members_of
from attacks.wrapped import KeyedRows, global_seed, seed_of
from bench.ball import project
from bench.defended import DefendedClassifier
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images
from bench.search import Search
from bench.threat import ThreatModel

NORMS = {"linf": "Linf", "l2": "L2", "l1": "L1"}
FLAGS = {
    "randomized defense": "randomized",
    "probability distribution": "softmax",
    "zero gradient": "zero gradient",
    "Square Attack has decreased": "square stronger than the rest",
    "dynamic defense": "dynamic",
    "classes": "class count",
}
"""Words in the warnings of the reference code, and the flag that the record gets for each."""


def autoattack(
    model: DefendedClassifier,
    x: Images,
    y: Tensor,
    threat: ThreatModel,
    noise: Noise,
    *,
    version: str = "standard",
    attacks: tuple[str, ...] = (),
) -> Images:
    """Runs the reference code on one whole shard, changed only for fewer than ten classes.

    Its draws are keyed by (shard, call, row) and its seed by the shard. Global random state and the trace function are
    restored. Its warnings, and its claim for each image, go to the record. The score never uses its draws.

    On a stochastic defense, the reference code decides by a single draw: it returns an image unchanged if that draw is
    right, and does not attack it at all if the draw is wrong before the attack. Here APGD also runs on the images that
    were not attacked, and the results of all runs are compared on further draws.

    References:
        Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks (Croce, Hein, 2020)
        https://arxiv.org/abs/2003.01690

    Arguments:
        model: The attacker's view.
        x: Images `(B, C, H, W)`, those of one shard.
        y: Labels `(B,)`.
        threat: The ball.
        noise: One stream per image.
        version: `standard`, `plus`, `rand` (20 draws in each gradient), or `custom`.
        attacks: For `custom`: among `apgd-ce`, `apgd-dlr`, `apgd-t`, `fab`, `fab-t`, `square`, in that order.

    Raises:
        UserError: The version or an attack does not exist, or the classes are too few for its losses.
    """
    from pyautoattack import AutoAttack

    members = members_of(version, attacks)
    classes = model.sample(x[:1], noise[:1]).shape[2]
    check_classes(members, classes)
    network = _Network(model, noise, y, x, classes=classes, version=version)
    with global_seed(seed_of(noise)), _heard(network.note) as flags, _own_counters():
        code = AutoAttack(
            network,
            attacks=list(attacks) if version == "custom" else None,
            device=str(x.device),
            eps=threat.radius,
            norm=NORMS[threat.norm],
            seed=seed_of(noise),
            version=version,
        )
        for member in (code.apgd_targeted, code.fab):
            member.n_target_classes = min(member.n_target_classes, classes - 1)
        ends = [_ends(code.apgd), _ends(code.apgd_targeted)]
        network.begin(members)
        found, labels = code.run_standard_evaluation(x.float(), y, batch_size=len(x))
        if model.stochastic:
            _run_on_spared(code.apgd, members, ends, x.float(), y)
    result = project(network.settled(found), x, threat)
    if model.stochastic:
        points = [network.settled(whole) for whole in _whole([*ends[0], *ends[1]], x)]
        result = _compared(model, x, y, threat, noise.after(network.calls), [result, *points])
    model.tally.level(tuple(noise.ids.tolist()))
    model.remark(claimed=(labels != y).tolist(), flags=[sorted(flags)] * len(x))
    return result


def work(*, deterministic: bool, classes: int, version: str, attacks: tuple[str, ...], **_: object) -> Work:
    """The work of the reference code on an image that never breaks."""
    return sum((cost(name, classes, version) for name in MEMBERS[version] or attacks), Work(evaluations=8))


class _Network(KeyedRows):
    """The defended classifier as the reference code sees it; reports how far its schedule has come."""

    def __init__(
        self, model: DefendedClassifier, noise: Noise, labels: Tensor, x: Images, *, classes: int, version: str
    ) -> None:
        super().__init__(model, noise, x)
        self.labels, self.classes, self.version, self.unbroken = labels, classes, version, len(labels)
        self.members: list[str] = []
        self.left = Work()

    def begin(self, members: tuple[str, ...]) -> None:
        """Sets the attacks that will run."""
        self.members = list(members)

    def note(self, message: str) -> None:
        """Reads a line of the log: which attack begins, or how many images are unbroken."""
        if message.startswith("running "):
            name = message.removeprefix("running ")
            self.members = self.members[self.members.index(name) + 1 :]
            self.left = self._cost(name)
        elif message.endswith("successfully perturbed"):
            broken, _, _, count, *_ = message.rpartition(" - ")[2].split()
            self.unbroken = int(count) - int(broken)

    def forward(self, x: Images) -> Tensor:
        """Logits of rows that have no ids."""
        logits = super().forward(x)
        done = Work(gradients=1) if x.requires_grad else Work(evaluations=1)
        self.left = Work(max(self.left.evaluations - done.evaluations, 0), max(self.left.gradients - done.gradients, 0))
        later = sum((self._cost(name) for name in self.members), Work())
        self.model.before(later).advance(self.left, self.unbroken)
        return logits

    def _cost(self, name: str) -> Work:
        return cost(name, self.classes, self.version)


@contextmanager
def _heard(note: Callable[[str], None]) -> Iterator[set[str]]:
    """Collects the flags among the warnings of the reference code; its log goes nowhere else meanwhile."""
    logger, flags = logging.getLogger("auto-attack"), set[str]()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if record.levelno < logging.WARNING:
                note(message)
            else:
                flags.add(next((flag for sign, flag in FLAGS.items() if sign in message), message))

    ear, level, propagate = Ear(), logger.level, logger.propagate
    logger.addHandler(ear)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield flags
    finally:
        logger.removeHandler(ear)
        logger.setLevel(level)
        logger.propagate = propagate


@contextmanager
def _own_counters() -> Iterator[None]:
    """Restores the global counters of the reference code's check for dynamic defenses."""
    from pyautoattack.checks import funcs

    before = dict(funcs)
    funcs.update(dict.fromkeys(funcs, 0))
    try:
        yield
    finally:
        funcs.update(before)


def _ends(attack: Any) -> list[tuple[Tensor, Tensor]]:
    """A list that collects, while APGD runs, the images of each run and the points where it ended."""
    ends: list[tuple[Tensor, Tensor]] = []
    run = attack.attack_single_run

    def recorded(images: Tensor, labels: Tensor, x_init: Tensor | None = None) -> tuple[Tensor, ...]:
        result = run(images, labels, x_init=x_init)
        best, _, _, broken = result  # the point of the highest loss, and the last one that a draw got wrong
        ends.extend((images.detach().clone(), points.detach().clone()) for points in (best, broken))
        return result

    attack.attack_single_run = recorded
    return ends


def _run_on_spared(
    apgd: Any, members: tuple[str, ...], ends: list[list[tuple[Tensor, Tensor]]], x: Images, y: Tensor
) -> None:
    """Runs APGD on the images that it skipped, since one wrong draw must not keep an image from being attacked."""
    tried = {row.numpy(force=True).tobytes() for kind in ends for images, _ in kind for row in images}
    rows = [k for k, row in enumerate(x) if row.numpy(force=True).tobytes() not in tried]
    apgd.init_hyperparam(x)
    for name in members if rows else ():
        if name in ("apgd-ce", "apgd-dlr"):
            apgd.loss = name.removeprefix("apgd-")
            apgd.attack_single_run(x[rows], y[rows])


def _whole(ends: list[tuple[Tensor, Tensor]], x: Images) -> Iterator[Images]:
    """The ends of each run as points for all images: the image itself where it took no part."""
    index = {row.numpy(force=True).tobytes(): k for k, row in enumerate(x.float())}
    for images, points in ends:
        whole = x.clone()
        rows = [index[image.numpy(force=True).tobytes()] for image in images]
        whole[rows] = points.to(x)
        yield whole


def _compared(
    model: DefendedClassifier, x: Images, y: Tensor, threat: ThreatModel, noise: Noise, candidates: list[Images]
) -> Images:
    """The best candidate of each image, compared on fresh draws."""
    search, rows = Search(model, x, y, noise), torch.arange(len(x), device=x.device)
    for points in candidates:
        search.confirm(rows, project(points, x, threat))
    return search.best
