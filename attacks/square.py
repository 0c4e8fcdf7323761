"""Square Attack: random search over square windows, from scores alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.ball import project, steepest
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.margin import margin
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images
from bench.search import CONFIRMING, Search
from bench.threat import ThreatModel

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries, of 10,000, after which the share of the pixels that a window covers is halved."""
BLOCK = 64
"""Queries whose random numbers are drawn at once."""
TINY = 1e-12
"""Keeps a direction finite where a window is empty."""


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
    """Moves one square window per query to the border of the ball and keeps what lowers the margin.

    Every image has windows and signs of its own; only their size, which follows a schedule, is shared. Where the
    attacker sees what the score will see, every query counts and a broken image rests. Under a stochastic defense with
    fresh draws, which the paper does not treat, a window is kept if it lowers the mean margin on `eot` draws that the
    points before and after share: two queries. The last point of each restart is then confirmed on draws of its own.

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
        queries: Evaluations per restart (of `eot` draws each), the first point's included, at least 1.
        restarts: Independent searches, at least 1.
        p: Share of the pixels in the first window, in (0, 1].
        eot: Fresh draws averaged in each query of a stochastic defense, at least 1; a deterministic one takes 1.
        budget: Evaluations per image that the queries are cut down to, if given; their schedule shrinks with them.

    Raises:
        UserError: An argument is out of its range, or the norm is `l1`.
    """
    _check(threat, queries, restarts, p, eot)
    search = Search(model, x, y, noise, eot=eot)
    queries = _within(budget, queries, restarts=restarts, draws=search.draws)
    windows = (_Flips if threat.norm == "linf" else _Masses)(x, threat, p, queries)
    for number in range(restarts):
        _search(search, windows, noise, number, left=(restarts - number) * queries)
    return search.best


def work(*, deterministic: bool, queries: int, restarts: int, eot: int, budget: int | None, **_: object) -> Work:
    """What `square` does to an image that never breaks."""
    draws = 1 if deterministic else eot
    queries = _within(budget, queries, restarts=restarts, draws=draws)
    if deterministic:
        return Work(evaluations=restarts * queries)
    return Work(evaluations=restarts * (queries // 2 * 2 * draws + CONFIRMING))


@dataclass(frozen=True)
class _Windows:
    """The moves of one norm.

    Arguments:
        x: Images `(B, C, H, W)`.
        threat: The ball.
        p: Share of the pixels in the first window.
        queries: Length of the schedule.
    """

    x: Images
    threat: ThreatModel
    p: float
    queries: int

    numbers: ClassVar[int]
    """Uniform numbers that one move takes beside one per channel."""
    smallest: ClassVar[int]

    def start(self, noise: Noise) -> Images:
        """The first point of each image."""
        raise NotImplementedError

    def move(self, rows: Tensor, z: Images, u: Tensor, k: int) -> Images:
        """The candidates of query `k` for these rows, at `z`, from uniform numbers `(rows, numbers + C)`."""
        raise NotImplementedError

    def side(self, k: int) -> int:
        """Side of the windows of query `k`, in pixels."""
        height, width = self.x.shape[2:]
        halved = sum(10_000 * k > after * self.queries for after in HALVINGS)
        wanted = max(round(math.sqrt(self.p / 2**halved * height * width)), self.smallest)
        return min(wanted, height, width)

    def window(self, corner: Tensor, side: int) -> Tensor:
        """Positions of one window per image, uniform given two uniform numbers each: `(B, C, side * side)`."""
        channels, height, width = self.x.shape[1:]
        top, left = (corner[:, 0] * (height - side + 1)).long(), (corner[:, 1] * (width - side + 1)).long()
        offsets = torch.arange(side, device=corner.device)
        inside = (offsets[:, None] * width + offsets).flatten()
        return ((top * width + left)[:, None, None] + inside).expand(-1, channels, -1)


class _Flips(_Windows):
    """linf: each channel of the window goes to one border of the ball."""

    numbers, smallest = 2, 1

    def start(self, noise: Noise) -> Images:
        """Vertical stripes of random sign."""
        signs = (noise.uniform(self.x[:, :, :1]) - 0.5).sign()
        return (self.x + self.threat.radius * signs).clamp(0, 1)

    def move(self, rows: Tensor, z: Images, u: Tensor, k: int) -> Images:
        """A step of `2 eps` and the projection end at `x + eps` or `x - eps`, wherever they began."""
        where = self.window(u[:, :2], self.side(k))
        signs = (u[:, 2:] - 0.5).sign().to(z.dtype)[:, :, None]
        values = self.x[rows].flatten(2).gather(2, where) + self.threat.radius * signs
        return z.flatten(2).scatter(2, where, values.clamp(0, 1)).view_as(z)


class _Masses(_Windows):
    """l2: the mass of a second window, and what is unused, goes into a first one, whose shape shifts a little."""

    numbers, smallest = 5, 3

    def side(self, k: int) -> int:
        """Odd, so that the shape has a centre, unless the image is as small as the window."""
        return min(super().side(k) | 1, *self.x.shape[2:])

    def start(self, noise: Noise) -> Images:
        """A grid of five by five masses of random signs and directions, with norm eps."""
        count, channels, height, width = self.x.shape
        side = max(1, min(height, width) // 5)
        down, across = height // side, width // side
        u = noise.uniform(self.x.new_empty(count, channels + 1, down, 1, across, 1))
        shape = mass(side, self.x)
        tiles = torch.where(u[:, :1] > 0.5, shape.T[:, None], shape[:, None]) * (u[:, 1:] - 0.5).sign()
        above, before = (height - down * side) // 2, (width - across * side) // 2
        rest = (before, width - across * side - before, above, height - down * side - above)
        delta = F.pad(tiles.reshape(count, channels, down * side, across * side), rest)
        return (self.x + self.threat.radius * steepest(delta, self.threat)).clamp(0, 1)

    def move(self, rows: Tensor, z: Images, u: Tensor, k: int) -> Images:
        """Algorithm 3 of the paper."""
        x, side, u = self.x[rows], self.side(k), u.to(z.dtype)
        first, second = self.window(u[:, :2], side), self.window(u[:, 2:4], side)
        delta = (z - x).flatten(2)
        rest = delta.scatter(2, second, 0).scatter_(2, first, 0)
        held, kept = delta.square().sum(dim=2, keepdim=True), rest.square().sum(dim=2, keepdim=True)
        unused = (self.threat.radius**2 - held.sum(dim=1, keepdim=True)).clamp_min(0)
        length = ((held - kept).clamp_min(0) + unused / x.shape[1]).sqrt()
        shape = mass(side, x)
        shapes = torch.where(u[:, 4, None] > 0.5, shape.T.flatten(), shape.flatten())[:, None]
        mixed = (u[:, 5:] - 0.5).sign()[:, :, None] * shapes + _unit(delta.gather(2, first))
        return project(x + rest.scatter_(2, first, length * _unit(mixed)).view_as(x), x, self.threat)


def mass(side: int, like: Tensor) -> Tensor:
    """Two masses of opposite signs beside one another, of unit norm together: `(side, side)`.

    Each half is `eta[r, s] = sum of 1 / j^2 for j from d + 1 to n + 1`, `d` the distance from its centre in the
    maximum norm and `n = side // 2`.

    Arguments:
        side: In pixels.
        like: Gives dtype and device.
    """
    half, n = side // 2, side // 2
    steps = torch.arange(1, n + 2, dtype=like.dtype, device=like.device)
    falling = steps.pow(-2).flip(0).cumsum(0).flip(0)
    place = torch.arange(side, device=like.device)
    across = torch.where(place < half, place - half // 2, place - half - (side - half) // 2).abs()
    eta = falling[torch.maximum((place - n).abs()[:, None], across)] * torch.where(place < half, 1, -1)
    return eta / torch.linalg.vector_norm(eta)


def _search(search: Search, windows: _Windows, noise: Noise, number: int, *, left: int) -> None:
    """One restart."""
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
    """The mean margin of each point; rows that occur twice are evaluated on the same draws."""
    logits = search.model.sample(points, search.estimate(rows))
    search.see(rows, points, logits)
    return margin(logits.flatten(0, 1), search.y[rows].repeat(len(logits))).view(-1, len(rows)).mean(dim=0)


def _fresh(model: DefendedClassifier) -> bool:
    """Whether a margin tells as much of the draw as of the point: the lowest so far would be the luckiest."""
    return model.stochastic and not model.decisive


def _uniform(windows: _Windows, noise: Noise, block: int) -> Tensor:
    """Random numbers of a block of queries, float32 `(BLOCK, B, numbers + C)`."""
    shape = (len(noise), BLOCK, windows.numbers + windows.x.shape[1])
    return noise.uniform(torch.empty(shape, device=windows.x.device), step=block).transpose(0, 1).contiguous()


def _unit(values: Tensor) -> Tensor:
    return values / torch.linalg.vector_norm(values, dim=2, keepdim=True).clamp_min(TINY)


def _within(budget: int | None, queries: int, *, restarts: int, draws: int) -> int:
    if budget is None:
        return queries
    allowed = budget // (restarts * draws)
    if allowed < 1:
        raise UserError(
            f"expected a budget of at least {restarts * draws} forward-equivalents for one query, got {budget}; raise -A budget="
        )
    return min(queries, allowed)


def _check(threat: ThreatModel, queries: int, restarts: int, p: float, eot: int) -> None:
    if threat.norm not in ("linf", "l2"):
        raise UserError(f"expected a threat in linf or l2 for square, got {threat}; take --attack autoattack for l1")
    if min(queries, restarts, eot) < 1 or not 0 < p <= 1:
        raise UserError(
            "expected queries, restarts, eot >= 1 and p in (0, 1], got "
            f"queries={queries}, restarts={restarts}, eot={eot}, p={p}; correct the -A arguments"
        )
