"""Square Attack: random search over square windows, from scores alone."""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.windows import Flips, Masses, Windows
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.margin import margin
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images
from bench.search import CONFIRMING, Search
from bench.threat import ThreatModel

BLOCK = 64
"""Queries whose random numbers are drawn at once."""


def square(
    model: DefendedClassifier,
    x: Images,
    y: Tensor,
    threat: ThreatModel,
    noise: Noise,
    *,
    queries: int = 5000,
    restarts: int = 1,
    p: float = 0.8,
    eot: int = 1,
    budget: int | None = None,
) -> Images:
    """Moves one random square window per query to the border of the ball, and keeps the move if it lowers the margin.

    Each image has its own windows and signs; the size of the windows follows a schedule that all images share. If the
    attacker sees the same draws as the score, an image stops once it is broken. The paper does not treat stochastic
    defenses with fresh draws. There a move is kept if it lowers the mean margin on `eot` draws, the same ones before and
    after the move, which takes two queries; the last point of each restart is confirmed on further draws.

    References:
        Square Attack: a query-efficient black-box adversarial attack via random search (Andriushchenko, Croce,
        Flammarion, Hein, 2020)
        https://arxiv.org/abs/1912.00049

    Arguments:
        model: The attacker's view.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        threat: The ball, `linf` or `l2`.
        noise: One stream per image.
        queries: Evaluations per restart (of `eot` draws each), with that of the first point, at least 1.
        restarts: Independent searches, at least 1.
        p: Share of the pixels in the first window, in (0, 1].
        eot: Fresh draws averaged in each query of a stochastic defense, at least 1; a deterministic one uses 1.
        budget: The most evaluations per image; reduces the queries and shortens their schedule. No limit if None.

    Raises:
        UserError: An argument is out of its range, or the norm is `l1`.
    """
    _check(threat, queries, restarts, p, eot)
    search = Search(model, x, y, noise, eot=eot)
    queries = _within(budget, queries, restarts=restarts, draws=search.draws)
    windows = (Flips if threat.norm == "linf" else Masses)(x, threat, p, queries)
    for number in range(restarts):
        _search(search, windows, noise, number, left=(restarts - number) * queries)
    return search.best


def work(*, deterministic: bool, queries: int, restarts: int, eot: int, budget: int | None, **_: object) -> Work:
    """The work of `square` on an image that never breaks."""
    draws = 1 if deterministic else eot
    queries = _within(budget, queries, restarts=restarts, draws=draws)
    if deterministic:
        return Work(evaluations=restarts * queries)
    return Work(evaluations=restarts * (queries // 2 * 2 * draws + CONFIRMING))


def _search(search: Search, windows: Windows, noise: Noise, number: int, *, left: int) -> None:
    """Runs one restart."""
    z, u = windows.start(noise.of("start").after(number)), noise.ids
    lowest = torch.full_like(search.margin, torch.inf)
    paired = _fresh(search.model)
    for k in range(0, windows.queries - paired, 1 + paired):
        rows = search.active
        if not len(rows):
            return
        if k % BLOCK == 0:
            u = _uniform(windows, noise.of("tries").after(number), k // BLOCK)
        points = windows.move(rows, z[rows], u[k % BLOCK, rows], k) if k or paired else z[rows]
        if paired:
            lowest[rows], means = _query(search, rows.repeat(2), torch.cat([z[rows], points])).chunk(2)
        else:
            means = _query(search, rows, points)
        better = means < lowest[rows]
        z[rows[better]], lowest[rows[better]] = points[better], means[better]
        search.report(Work(evaluations=left - k - 1 - paired))
    if not search.model.decisive:
        rows = search.active
        search.confirm(rows, z[rows])


def _query(search: Search, rows: Tensor, points: Images) -> Tensor:
    """The mean margin of each point; a row that occurs twice has the same draws both times."""
    logits = search.model.sample(points, search.estimate(rows))
    search.see(rows, points, logits)
    return margin(logits.flatten(0, 1), search.y[rows].repeat(len(logits))).view(-1, len(rows)).mean(dim=0)


def _fresh(model: DefendedClassifier) -> bool:
    """Whether margins of different queries have different draws, so that the lowest one may only have had lucky draws."""
    return model.stochastic and not model.decisive


def _uniform(windows: Windows, noise: Noise, block: int) -> Tensor:
    """The random numbers of a block of queries, float32 `(BLOCK, B, numbers + C)`."""
    shape = (len(noise), BLOCK, windows.numbers + windows.x.shape[1])
    return noise.uniform(torch.empty(shape, device=windows.x.device), step=block).transpose(0, 1).contiguous()


def _within(budget: int | None, queries: int, *, restarts: int, draws: int) -> int:
    if budget is None:
        return queries
    allowed = budget // (restarts * draws)
    if allowed < 1:
        raise UserError("square-budget", restarts=restarts * draws, budget=budget)
    return min(queries, allowed)


def _check(threat: ThreatModel, queries: int, restarts: int, p: float, eot: int) -> None:
    if threat.norm not in ("linf", "l2"):
        raise UserError("square-norm", threat=threat)
    if min(queries, restarts, eot) < 1 or not 0 < p <= 1:
        raise UserError("square-arguments", queries=queries, restarts=restarts, eot=eot, p=p)
