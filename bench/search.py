"""What an attack knows so far: the best point of each image, which images stand, which draws were used."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.defended import DefendedClassifier
from bench.margin import margin
from bench.noise import Noise
from bench.pace import Work
from bench.protocols import Images

CONFIRMING = 10
"""Fresh draws of a stochastic defense over which candidate points are compared."""


class Search:
    """The best point of each image so far, and the images that are still attacked.

    A point is better if fewer draws get it right, then if its mean margin is smaller. Where the attacker sees what the
    score will see (`model.decisive`), every point counts that it has seen, and an image that no draw gets right rests.
    Elsewhere no image rests, and only points that were confirmed on draws of their own are compared.

    Arguments:
        model: The attacker's view.
        x: Images `(B, C, H, W)`.
        y: Labels `(B,)`.
        noise: One stream per image; estimates take its draw and the ones that follow, `confirm` those of its own purpose.
        eot: Draws in one estimate if the defense is stochastic and its draws are not known.
        confirming: Draws of `confirm`, likewise.
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
        everyone = torch.arange(len(self.x), device=self.x.device)
        return everyone[self.share > 0] if self.model.decisive else everyone

    @property
    def draws(self) -> int:
        """Draws in one estimate."""
        if not self.model.stochastic:
            return 1
        return self.model.known or self.eot

    def estimate(self, rows: Tensor) -> Noise:
        """The draws of one estimate for these rows: the known ones, or fresh ones that no other estimate uses."""
        if not self._fresh:
            return self._shared(rows)
        first, self.drawn = self.drawn, self.drawn + self.eot
        return self.noise[rows].after(first).spread(self.eot)

    def see(self, rows: Tensor, points: Images, logits: Tensor) -> Tensor:
        """Notes what an estimate gave; says which of the rows are still attacked, bool.

        Arguments:
            rows: The images that were evaluated.
            points: Where, `(rows, C, H, W)`.
            logits: `(draws, rows, classes)`.
        """
        if not self.model.decisive:
            return torch.ones_like(rows, dtype=torch.bool)
        self._keep(rows, points, logits)
        return self.share[rows] > 0

    def confirm(self, rows: Tensor, points: Images) -> None:
        """Compares candidate points of these rows with the best so far: on draws that all candidates share and no estimate
        uses, unless the draws are known. Were they fresh for each, the luckiest candidate would win.
        """
        if len(rows):
            self._keep(rows, points, self.model.sample(points, self._shared(rows)))

    def report(self, left: Work) -> None:
        """Says how far the attack is: what is left to do for each active image and draw."""
        self.model.advance(left, len(self.active), draws=self.draws)

    @property
    def _fresh(self) -> bool:
        return self.model.stochastic and not self.model.known

    def _shared(self, rows: Tensor) -> Noise:
        """The draws on which points are compared: the known ones, those of `confirm`, or one that changes nothing."""
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
