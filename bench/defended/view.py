"""The only thing an attack is given: the defended classifier under one gradient mode."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.defended.checks import check_differentiable, check_gradients, check_logits, check_one_vote, purified
from bench.defended.chunks import VOTING_ROWS, Compute, Objective, add_rows, in_chunk, mean_vote, spans
from bench.gradient import GradientMode, straight_through
from bench.keyed import name_of
from bench.noise import ForbiddenNoise, Noise
from bench.pace import Pace, Work
from bench.passes import CountedClassifier, Tally
from bench.protocols import Defense, Images
from bench.spoiled import Spoiled

_KEPT = ("defense", "mode", "chunk", "tally", "pace", "known", "later", "said", "votes", "voting_rows", "spoiled")


class DefendedClassifier:
    """Classifier after purifier under one gradient mode, evaluated in chunks of a fixed, padded size.

    Padding keeps the shape of every network call the same, so the result of an image is bit-identical in any batch.

    Arguments:
        classifier: Images to logits, frozen and in inference mode.
        defense: The purifier.
        mode: The part of the model that the attacker differentiates.
        chunk: Images in one network call.
        tally: Receives the pass counts.
        pace: Receives the time of each chunk and the progress of attacks.
        known: Number of scored draws that the attacker knows and attacks; 0 if it has to draw its own.
        later: Work that later attacks will do on every image that is still unbroken.
        said: Receives the remarks of attacks on each image.
        votes: Purifications behind one prediction; their class probabilities are averaged. None: the defense's `votes`.
        voting_rows: Images in one network call when several votes are evaluated together.
        spoiled: Counts gradients that were not finite; the attacker gets a finite one instead.
    """

    def __init__(
        self,
        classifier: nn.Module,
        defense: Defense,
        *,
        mode: GradientMode = GradientMode.FULL,
        chunk: int = 16,
        tally: Tally | None = None,
        pace: Pace | None = None,
        known: int = 0,
        later: Work = Work(),  # noqa: B008 - frozen
        said: dict[str, list[Any]] | None = None,
        votes: int | None = None,
        voting_rows: int = VOTING_ROWS,
        spoiled: Spoiled | None = None,
    ) -> None:
        check_differentiable(name_of(defense), defense, mode)
        self.tally, self.pace = tally or Tally(), pace or Pace()
        self.network, self.defense, self.mode, self.chunk = classifier, defense, mode, chunk
        self.known, self.later = known, later
        self.said: dict[str, list[Any]] = {} if said is None else said
        self.votes, self.voting_rows = votes, voting_rows
        self.spoiled = Spoiled() if spoiled is None else spoiled
        self.classifier = CountedClassifier(classifier, self.tally)

    def view(self, mode: GradientMode) -> DefendedClassifier:
        """The same classifier and defense, counted together, under another gradient mode."""
        return self._with(mode=mode)

    def before(self, later: Work) -> DefendedClassifier:
        """The same view for an attack that others follow, with this much work on every image that is still unbroken."""
        return self._with(later=self.later + later)

    def replaced(self, classifier: nn.Module) -> DefendedClassifier:
        """Another classifier without any purifier, counted together: what a transfer attack sees."""
        return self._with(classifier=classifier, mode=GradientMode.BLIND)

    def through(self, defense: Defense) -> DefendedClassifier:
        """The same classifier after another defense, counted together."""
        return self._with(defense=defense)

    def reading(self, classifier: nn.Module) -> DefendedClassifier:
        """Another classifier after the same defense, counted together."""
        return self._with(classifier=classifier)

    def reporting(self, spoiled: Spoiled) -> DefendedClassifier:
        """The same view, with its own count of gradients that are not finite."""
        return self._with(spoiled=spoiled)

    def single(self) -> DefendedClassifier:
        """The same view with one purification per prediction, counted apart: a certificate takes its own votes."""
        return self._with(votes=1, tally=Tally())

    def sized(self, chunk: int) -> DefendedClassifier:
        """The same view with another number of images in one network call."""
        return self._with(chunk=chunk)

    def _with(self, **changes: Any) -> DefendedClassifier:
        kept = {name: getattr(self, name) for name in _KEPT}
        return DefendedClassifier(**{"classifier": self.network, **kept, **changes})

    @property
    def deterministic(self) -> bool:
        """Whether the defense claims to draw nothing."""
        return self.defense.deterministic

    @property
    def stochastic(self) -> bool:
        """Whether the attacker's view depends on the draw."""
        return not self.deterministic and self.mode is not GradientMode.BLIND

    @property
    def decisive(self) -> bool:
        """Whether the attacker sees exactly what will be scored, so that broken images need no further attack."""
        return (self.deterministic or self.known > 0) and self.mode is not GradientMode.BLIND

    @property
    def ballots(self) -> int:
        """Purifications behind one prediction of this view."""
        votes = getattr(self.defense, "votes", 1) if self.votes is None else self.votes
        return votes if votes > 1 and self.stochastic else 1

    def advance(self, left: Work, standing: int, *, draws: int = 1) -> None:
        """Reports an attack's progress: the work left for each unbroken image and draw, and how many are unbroken."""
        self.pace.report(left + self.later, standing, standing * draws, self.chunk)

    def remark(self, **columns: Sequence[Any]) -> None:
        """Stores columns in the lines of the record: one JSON value for each image that the attack was given."""
        self.said.update({name: list(values) for name, values in columns.items()})

    def __call__(self, x: Images, noise: Noise) -> Tensor:
        """`sample` under one draw: logits `(B, classes)`."""
        return self.sample(x, noise)[0]

    def sample(self, x: Images, noise: Noise) -> Tensor:
        """Logits under several draws, `(draws, B, classes)`, evaluated in one batch; differentiable as the mode says.

        Arguments:
            x: Images `(B, C, H, W)`.
            noise: The images' streams, spread over the draws by `noise.spread`.
        """
        parts = []
        for start, stop in spans(len(noise), self.chunk):
            began = time.monotonic()
            rows = torch.arange(start, stop, device=x.device) % len(x)
            parts.append(self._logits(x[rows], noise[start:stop]))
            if not x.requires_grad:
                self.pace.took("evaluation", time.monotonic() - began)
        return torch.cat(parts).view(len(noise) // len(x), len(x), -1)

    def differentiate(self, x: Images, y: Tensor, noise: Noise, objective: Objective) -> tuple[Tensor, Tensor, Tensor]:
        """`expect` under one draw: logits `(B, classes)`, values `(B,)` and gradients of the shape of `x`."""
        logits, values, gradient = self.expect(x, y, noise, objective)
        return logits[0], values[0], gradient

    def expect(self, x: Images, y: Tensor, noise: Noise, objective: Objective) -> tuple[Tensor, Tensor, Tensor]:
        """Logits and objective under several draws, and the mean gradient.

        Draws are batched; only one chunk's graph is alive at a time.

        Arguments:
            x: Images `(B, C, H, W)`.
            y: Labels `(B,)`, or any other tensor with one row per image that the objective takes.
            noise: The images' streams, spread over the draws by `noise.spread`.
            objective: The function to differentiate.

        Returns:
            Logits `(draws, B, classes)`, values `(draws, B)` and gradients of the shape of `x`, all detached.

        Raises:
            AttackError: The mode gives no gradients.
            NoGradientError: The classifier has no gradients.
        """
        check_gradients(self.mode, self.network)
        logits, values, total, draws = [], [], torch.zeros_like(x), len(noise) // len(x)
        for start, stop in spans(len(noise), self.chunk):
            began = time.monotonic()
            rows = torch.arange(start, stop, device=x.device) % len(x)
            leaf = x[rows].detach().requires_grad_()
            logits.append(self._logits(leaf, noise[start:stop]))
            values.append(objective(logits[-1], y[rows]))
            (gradient,) = torch.autograd.grad(values[-1].sum(), leaf)
            add_rows(total, gradient, start)
            logits[-1], values[-1] = logits[-1].detach(), values[-1].detach()
            self.pace.took("gradient", time.monotonic() - began)
        return torch.cat(logits).view(draws, len(x), -1), torch.cat(values).view(draws, len(x)), total / draws

    def pull_back(self, x: Images, noise: Noise, v: Tensor) -> Tensor:
        """The vector-Jacobian product of the purifier, as the mode differentiates it.

        Arguments:
            x: Images `(B, C, H, W)`.
            noise: One stream per image.
            v: The vector at the purified images, of the shape of `x`.

        Raises:
            AttackError: The defense aggregates votes: there is no single purified image.
        """
        check_one_vote(self.ballots)
        parts = []
        for start, stop in spans(len(x), self.chunk):
            leaf = x[start:stop].detach().requires_grad_()
            pure = self._chunked(leaf, noise[start:stop], self.purify)
            parts.append(torch.autograd.grad(pure, leaf, v[start:stop])[0])
        return torch.cat(parts)

    def shown(self, x: Images, noise: Noise) -> Images:
        """`purify` of any number of images, in padded chunks."""
        parts = [
            self._chunked(x[start:stop], noise[start:stop], self.purify) for start, stop in spans(len(x), self.chunk)
        ]
        return torch.cat(parts)

    def purify(self, x: Images, noise: Noise) -> Images:
        """The images that the classifier sees, differentiable as the mode says.

        Raises:
            UserError: The defense returned another shape or dtype or NaN, wrote into `x`, or drew against its claim.
            AttackError: `x` is not finite.
        """
        if self.mode is GradientMode.BLIND:
            return x
        if self.deterministic:
            noise = ForbiddenNoise(noise.seed, noise.ids, noise.purpose, noise.draw)
        if self.mode is GradientMode.BPDA:
            return straight_through(lambda image: purified(self.defense, image, noise), x)
        return purified(self.defense, x if self.mode is GradientMode.FULL else x.detach(), noise)

    def _logits(self, x: Images, noise: Noise) -> Tensor:
        logits = self._chunked(x, noise, self._vote if self.ballots > 1 else self._once)
        return logits.detach() if self.mode is GradientMode.NONE else logits

    def _vote(self, x: Images, noise: Noise) -> Tensor:
        return mean_vote(self._once, x, noise, votes=self.ballots, rows=self.voting_rows)

    def _once(self, x: Images, noise: Noise) -> Tensor:
        logits = self.classifier(self.purify(x, noise))
        check_logits(logits, x, noise)
        return logits

    def _chunked(self, x: Images, noise: Noise, compute: Compute) -> Tensor:
        return in_chunk(compute, x, noise, size=self.chunk, tally=self.tally, spoiled=self.spoiled)
