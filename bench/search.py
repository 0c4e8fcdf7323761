"""State of an attack: the best point of each image, the unbroken images, the draws used so far."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.defended import DefendedClassifier
from bench.margin import margin
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images

CONFIRMING = 10
"""Fresh draws of a stochastic defense on which candidate points are compared."""


class Search:
    """The best point of each image so far, and the images that are still attacked.

    A point is better if fewer draws classify it correctly; ties are decided by the smaller mean margin. If the attacker
    sees exactly what will be scored (`model.decisive`), every evaluated point is a candidate, and an image that no draw
    classifies correctly is no longer attacked. Otherwise all images stay active, and only points that were confirmed on
    separate draws are candidates.

    Arguments:
        model: The attacker's view.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        noise: One stream per image; estimates use its draw and the following ones.
        eot: Draws per estimate, if the defense is stochastic and its draws are unknown.
        confirming: Draws per call of `confirm`, in the same case.
    """

    def __init__(
        self,
        model: DefendedClassifier,
        x: Images,
        y: Tensor,
        noise: Noise,
        *,
        eot: int = 1,
        confirming: int = CONFIRMING,
    ) -> None:
        self.model, self.x, self.y, self.noise = model, x, y, noise
        self.eot, self.confirming, self.drawn = eot, confirming, 0
        self.best = x.clone()
        self.share = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
        self.margin = self.share.clone()

    @property
    def active(self) -> Tensor:
        """Rows that are still attacked."""
        rows = torch.arange(len(self.x), device=self.x.device)
        return rows[self.share > 0] if self.model.decisive else rows

    @property
    def draws(self) -> int:
        """Draws per estimate."""
        if not self.model.stochastic:
            return 1
        return self.model.known or self.eot

    def estimate(self, rows: Tensor) -> Noise:
        """The draws of one estimate for these rows: the known draws, or fresh ones that no other estimate uses."""
        if not self._fresh:
            return self._shared(rows)
        first, self.drawn = self.drawn, self.drawn + self.eot
        return self.noise[rows].after(first).spread(self.eot)

    def see(self, rows: Tensor, points: Images, logits: Tensor) -> Tensor:
        """Records the result of an estimate; returns which of the rows are still attacked, bool.

        Arguments:
            rows: Rows of the evaluated images.
            points: The evaluated points, `(rows, C, H, W)`.
            logits: `(draws, rows, classes)`.
        """
        if not self.model.decisive:
            return torch.ones_like(rows, dtype=torch.bool)
        self._keep(rows, points, logits)
        return self.share[rows] > 0

    def confirm(self, rows: Tensor, points: Images) -> None:
        """Compares candidate points of these rows with the best so far, on the same draws for all candidates.

        Fresh draws for each candidate would let the luckiest one win. No estimate uses these, unless they are known.
        """
        if len(rows):
            self._keep(rows, points, self.model.sample(points, self._shared(rows)))

    def report(self, left: Work) -> None:
        """Reports the progress of the attack: the work left for each active image and draw."""
        self.model.advance(left, len(self.active), draws=self.draws)

    @property
    def _fresh(self) -> bool:
        return self.model.stochastic and not self.model.known

    def _shared(self, rows: Tensor) -> Noise:
        """The draws on which points are compared: known ones, those of `confirm`, or any one if draws do not matter."""
        noise = self.noise[rows]
        if self._fresh:
            return noise.of("confirm").spread(self.confirming)
        return noise.of("score").at(0).spread(self.model.known) if self.model.known and self.model.stochastic else noise

    def _keep(self, rows: Tensor, points: Images, logits: Tensor) -> None:
        margins = margin(logits.flatten(0, 1), self.y[rows].repeat(len(logits))).view(len(logits), len(rows))
        share, mean = (margins >= 0).to(points.dtype).mean(dim=0), margins.mean(dim=0)
        better = (share < self.share[rows]) | ((share == self.share[rows]) & (mean < self.margin[rows]))
        improved = rows[better]
        self.best[improved], self.share[improved], self.margin[improved] = points[better], share[better], mean[better]
