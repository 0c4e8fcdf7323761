"""AutoPGD: gradient ascent with momentum whose step size adapts to each image."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bench.ball import project, steepest, uniform_in_ball
from bench.defended import DefendedClassifier, Objective
from bench.errors import UserError
from bench.losses import LOSSES, toward_target
from bench.noise import Noise
from bench.pace import GRADIENT_IN_EVALUATIONS, Work
from bench.protocols import Images
from bench.search import CONFIRMING, Search
from bench.threat import ThreatModel

FIRST_WINDOW, WINDOW_DECREASE, SHORTEST_WINDOW = 0.22, 0.03, 0.06
"""Steps between two checks of the step size, as shares of all steps: the first, its decrease, and the least."""
RISING = 0.75
"""The share of a window's steps that must raise the loss; with fewer, the step size is halved."""
INERTIA = 0.75
WIDE = {3: 0.3, 2: 0.3}
"""The larger balls of a wide start, in radii, and the share of the steps that is taken in each."""


def apgd(
    model: DefendedClassifier,
    x: Images,
    y: Tensor,
    threat: ThreatModel,
    noise: Noise,
    *,
    steps: int = 100,
    restarts: int = 1,
    loss: str = "ce",
    targets: int = 9,
    start: str = "random",
    eot: int = 10,
    budget: int | None = None,
) -> Images:
    """Ascends the loss with momentum and a step size that each image halves when it makes too little progress.

    The first step is the longest. After a halving, the image continues from its best point.

    Differences from the paper: a broken image stops at once, each image draws its own start, and l1 uses the general
    steps of this package instead of the paper's sparse ones.

    References:
        Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks (Croce, Hein, 2020)
        https://arxiv.org/abs/2003.01690

    Arguments:
        model: The attacker's view.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        threat: The ball.
        noise: One stream per image.
        steps: Gradient steps per run, at least 1.
        restarts: Runs per loss or target, at least 1.
        loss: `ce`, `cw`, `dlr`, or `target`: the targeted ratio, once for each of the likeliest wrong classes.
        targets: The number of target classes, at least 1; never more than there are wrong classes.
        start: `random` (uniform in the ball), `zero` (the image), or `wide`: random, with the first 30 % of the steps in a
            ball of three radii and the next 30 % in one of two (Croce, Hein, 2021, https://arxiv.org/abs/2103.01208).
        eot: Fresh draws averaged in each gradient of a stochastic defense, at least 1; a deterministic one uses 1.
        budget: The most forward-equivalents per image (a gradient counts as three); reduces the steps. No limit if None.

    Raises:
        UserError: An argument is out of its range.
    """
    _check(steps, restarts, loss, targets, start, eot)
    search = Search(model, x, y, noise, eot=eot)
    labels = _pairs(search, targets) if loss == "target" else [y]
    objective = toward_target if loss == "target" else LOSSES[loss]
    runs = [wanted for wanted in labels for _ in range(restarts)]
    if budget is not None:
        steps = _within(budget, steps, len(runs) * search.draws)
    for number, wanted in enumerate(runs):
        z = uniform_in_ball(x, threat, noise.of("start").after(number)) if start != "zero" else x.clone()
        later = (len(runs) - number - 1) * (steps + 1)
        if start == "wide":
            z = _narrowed(search, objective, wanted, threat, z, steps, later)
        last = steps if start != "wide" else steps - sum(_wide_steps(steps))
        _Ascent(search, objective, wanted, threat, z).climb(last, later=later)
    return search.best


def work(
    *,
    deterministic: bool,
    classes: int,
    steps: int,
    restarts: int,
    loss: str,
    targets: int,
    eot: int,
    start: str = "random",
    budget: int | None = None,
    **_: object,
) -> Work:
    """The work of `apgd` on an image that never breaks."""
    runs, draws = restarts * (min(targets, classes - 1) if loss == "target" else 1), 1 if deterministic else eot
    if budget is not None:
        steps = _within(budget, steps, runs * draws)
    confirming = 0 if deterministic else runs * CONFIRMING
    ascents = 1 + (len(WIDE) if start == "wide" else 0)  # each takes a gradient at its start
    return Work(evaluations=confirming + (draws if loss == "target" else 0), gradients=runs * draws * (steps + ascents))


def _wide_steps(steps: int) -> list[int]:
    return [int(share * steps) for share in WIDE.values()]


def _narrowed(
    search: Search, objective: Objective, labels: Tensor, threat: ThreatModel, z: Images, steps: int, later: int
) -> Images:
    """Runs in larger balls first, and projects where they end into the ball: a wide start."""
    for times, count in zip(WIDE, _wide_steps(steps), strict=True):
        wide = replace(threat, eps=times * threat.eps)
        ascent = _Ascent(search, objective, labels, wide, project(z, search.x, wide), outside=True)
        ascent.climb(count, later=later + steps)
        z = ascent.best
    return project(z, search.x, threat)


class _Ascent:
    """One run from one start: the current point, step size and best point of each image."""

    def __init__(
        self,
        search: Search,
        objective: Objective,
        labels: Tensor,
        threat: ThreatModel,
        z: Images,
        *,
        outside: bool = False,
    ) -> None:
        self.outside = outside
        self.search, self.objective, self.labels, self.threat = search, objective, labels, threat
        self.z, self.old, self.best = z, z.clone(), z.clone()
        self.gradient, self.best_gradient = torch.zeros_like(z), torch.zeros_like(z)
        self.value = torch.full((len(z),), -torch.inf, dtype=z.dtype, device=z.device)
        self.best_value, self.rises = self.value.clone(), torch.zeros_like(self.value)
        self.length = torch.full((len(z), 1, 1, 1), 2 * threat.radius, dtype=z.dtype, device=z.device)
        self.halved = torch.ones_like(self.value, dtype=torch.bool)
        self.value_before = self.value.clone()

    def climb(self, steps: int, *, later: int) -> None:
        window, waited = max(int(FIRST_WINDOW * steps), 1), 0
        self._evaluate()
        self.value_before = self.best_value.clone()
        for k in range(steps):
            if not len(self.search.active):
                return
            self._move(INERTIA if k else 1.0)
            before = self.value.clone()
            self._evaluate()
            self.rises += self.value > before
            waited += 1
            if waited == window:
                self._adapt(window)
                window, waited = max(window - max(int(WINDOW_DECREASE * steps), 1), int(SHORTEST_WINDOW * steps), 1), 0
            self.search.report(Work(gradients=steps - k - 1 + later))
        if not self.search.model.decisive and not self.outside:
            self.search.confirm(self.search.active, self.best)

    def _evaluate(self) -> None:
        rows = self.search.active
        if not len(rows):
            return
        points = self.z[rows]
        logits, values, gradient = self.search.model.expect(
            points, self.labels[rows], self.search.estimate(rows), self.objective
        )
        value = values.mean(dim=0)
        if not self.outside:
            self.search.see(rows, points, logits)
        self.value[rows], self.gradient[rows] = value, gradient
        better = value > self.best_value[rows]
        improved = rows[better]
        self.best[improved], self.best_value[improved] = points[better], value[better]
        self.best_gradient[improved] = gradient[better]

    def _move(self, inertia: float) -> None:
        rows = self.search.active
        z, x = self.z[rows], self.search.x[rows]
        ahead = project(z + self.length[rows] * steepest(self.gradient[rows], self.threat), x, self.threat)
        moved = z + inertia * (ahead - z) + (1 - inertia) * (z - self.old[rows])
        self.old[rows], self.z[rows] = z, project(moved, x, self.threat)

    def _adapt(self, window: int) -> None:
        stuck = (self.rises <= RISING * window) | (~self.halved & (self.value_before >= self.best_value))
        self.length[stuck] /= 2
        self.z[stuck], self.gradient[stuck] = self.best[stuck], self.best_gradient[stuck]
        self.halved, self.value_before = stuck, self.best_value.clone()
        self.rises = torch.zeros_like(self.rises)


def _pairs(search: Search, targets: int) -> list[Tensor]:
    """Pairs of label and target `(B, 2)`, one tensor for each of the likeliest wrong classes on the clean images."""
    rows = torch.arange(len(search.x), device=search.x.device)
    logits = search.model.sample(search.x, search.estimate(rows)).mean(dim=0)
    order = logits.scatter(1, search.y[:, None], torch.inf).argsort(dim=1, descending=True, stable=True)
    return [torch.stack((search.y, order[:, rank]), dim=1) for rank in range(1, min(targets, logits.shape[1] - 1) + 1)]


def _within(budget: int, steps: int, estimates: int) -> int:
    allowed = int(budget / estimates // GRADIENT_IN_EVALUATIONS) - 1
    if allowed < 1:
        raise UserError("apgd-budget", least=int(2 * GRADIENT_IN_EVALUATIONS * estimates), budget=budget)
    return min(steps, allowed)


def _check(steps: int, restarts: int, loss: str, targets: int, start: str, eot: int) -> None:
    if min(steps, restarts, targets, eot) < 1:
        raise UserError("apgd-arguments", steps=steps, restarts=restarts, targets=targets, eot=eot)
    if loss not in (*LOSSES, "target") or start not in ("random", "zero", "wide"):
        raise UserError("apgd-loss", losses=LOSSES, loss=loss, start=start)
