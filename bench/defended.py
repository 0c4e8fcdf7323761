"""The classifier after the purifier, as one attacker sees it: the only thing an attack is given."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import AttackError, NoGradientError, UserError
from bench.foreign import blamed
from bench.gradient import GradientMode, entrance, straight_through
from bench.noise import DrawnError, ForbiddenNoise, Noise, not_to_draw
from bench.pace import Pace, Work
from bench.passes import CountedClassifier, Tally, has_gradients, mark
from bench.protocols import Defense, Images
from bench.spoiled import GRADIENT, Spoiled

Objective = Callable[[Tensor, Tensor], Tensor]
"""Logits `(B, classes)` and labels `(B,)` to one value per image, which the attacker wants to be large."""


LEAVE_X = "do not write into x: x = x * 0.5, not x *= 0.5"
VOTING_ROWS = 160
"""Images of one network call in which votes are taken together."""


def check_differentiable(name: str, defense: object, mode: GradientMode) -> None:
    """Raises `UserError` if full gradients are wanted through a defense, or a class of them, that says it has none."""
    if mode is GradientMode.FULL and not getattr(defense, "differentiable", True):
        raise UserError(
            f"expected a differentiable defense for a full gradient, got {name}, which says it is not differentiable; use --attack pgd-bpda or pgd-blind"
        )


def check_signature(name: str, defense: Defense) -> None:
    """Raises `UserError` if a defense's `purify` cannot be called with images and noise."""
    try:
        signature = inspect.signature(defense.purify)
    except ValueError:  # it has none that Python can tell
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise UserError(
            f"expected {name}.purify to take (x, noise), got purify{signature}; write def purify(self, x, noise)"
        ) from error


class DefendedClassifier:
    """Classifier after purifier under one gradient mode, evaluated in chunks of a fixed, padded size.

    Kernels are chosen by shape, so padding makes the result of an image bit-identical whatever its neighbours are.

    Arguments:
        classifier: Images to logits, frozen and in inference mode.
        defense: The purifier.
        mode: What the attacker differentiates.
        chunk: Images in one network call.
        tally: Receives the pass counts.
        pace: Receives the times of chunks, and what attacks say of their progress.
        known: How many of the scored draws the attacker knows and attacks; 0 if it has to draw its own.
        later: What other attacks will still do to every image that stands when this one ends.
        said: Receives what attacks say of each image.
        votes: Purifications behind one prediction, whose class probabilities are averaged; None for what the defense says.
        voting_rows: Images of one network call in which votes are taken together.
        spoiled: Counts the gradients that were not finite, in whose place the attacker gets one that is.
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
        check_differentiable(type(defense).__name__, defense, mode)
        self.tally, self.pace = tally or Tally(), pace or Pace()
        self.network, self.defense, self.mode, self.chunk = classifier, defense, mode, chunk
        self.known, self.later = known, later
        self.said: dict[str, list[Any]] = {} if said is None else said
        self.votes = getattr(defense, "votes", 1) if votes is None else votes
        self.voting_rows = voting_rows
        self.spoiled = Spoiled() if spoiled is None else spoiled
        self.classifier = CountedClassifier(classifier, self.tally)

    def view(self, mode: GradientMode) -> DefendedClassifier:
        """The same classifier and defense, counted together, under another gradient mode."""
        return self._with(mode=mode)

    def before(self, later: Work) -> DefendedClassifier:
        """The same view for an attack after which others will do this much to every image that still stands."""
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
        """The same view, whose gradients that are not finite are counted apart."""
        return self._with(spoiled=spoiled)

    def single(self) -> DefendedClassifier:
        """One purification a prediction, whose passes are not counted: what a certificate looks at."""
        return self._with(votes=1, tally=Tally())

    def sized(self, chunk: int) -> DefendedClassifier:
        """The same with so many images in one network call."""
        return self._with(chunk=chunk)

    def _with(self, **changes: Any) -> DefendedClassifier:
        parts: dict[str, Any] = {
            "classifier": self.network, "defense": self.defense, "mode": self.mode, "chunk": self.chunk, "tally": self.tally,
            "pace": self.pace, "known": self.known, "later": self.later, "said": self.said,
            "votes": self.votes, "voting_rows": self.voting_rows, "spoiled": self.spoiled,
        }  # fmt: skip
        return DefendedClassifier(**(parts | changes))

    @property
    def deterministic(self) -> bool:
        """The defense's claim."""
        return self.defense.deterministic

    @property
    def stochastic(self) -> bool:
        """Whether what the attacker sees depends on the draw."""
        return not self.deterministic and self.mode is not GradientMode.BLIND

    @property
    def decisive(self) -> bool:
        """Whether what the attacker sees is what the score will see, so that a broken image may rest."""
        return (self.deterministic or self.known > 0) and self.mode is not GradientMode.BLIND

    def advance(self, left: Work, standing: int, *, draws: int = 1) -> None:
        """An attack says where it is: what is left for each standing image and draw, and how many images stand."""
        self.pace.report(left + self.later, standing, standing * draws, self.chunk)

    def remark(self, **columns: Sequence[Any]) -> None:
        """An attack says something of each image it was given, as JSON values; it is stored in their lines."""
        self.said.update({name: list(values) for name, values in columns.items()})

    def __call__(self, x: Images, noise: Noise) -> Tensor:
        """Logits of images under the draw that `noise` names, shape `(B, classes)`; differentiable as the mode says.

        Arguments:
            x: Images `(B, C, H, W)`.
            noise: One stream per image.
        """
        return self.sample(x, noise)[0]

    def sample(self, x: Images, noise: Noise) -> Tensor:
        """Logits under several draws, batched, shape `(draws, B, classes)`.

        Arguments:
            x: Images `(B, C, H, W)`.
            noise: As many draws as `noise.spread` made of the images' streams.
        """
        parts = []
        for start, stop in self._chunks(len(noise)):
            began = time.monotonic()
            rows = torch.arange(start, stop, device=x.device) % len(x)
            parts.append(self._logits(x[rows], noise[start:stop]))
            if not x.requires_grad:
                self.pace.took("evaluation", time.monotonic() - began)
        return torch.cat(parts).view(len(noise) // len(x), len(x), -1)

    def differentiate(self, x: Images, y: Tensor, noise: Noise, objective: Objective) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, objective and its gradient under one draw.

        Returns:
            Logits `(B, classes)`, values `(B,)` and gradients of the shape of `x`, all detached.

        Raises:
            AttackError: The mode gives no gradients.
        """
        logits, values, gradient = self.expect(x, y, noise, objective)
        return logits[0], values[0], gradient

    def expect(self, x: Images, y: Tensor, noise: Noise, objective: Objective) -> tuple[Tensor, Tensor, Tensor]:
        """Logits and objective under several draws, and the mean gradient: batched over draws, one chunk's graph alive at a time.

        Arguments:
            x: Images `(B, C, H, W)`.
            y: Labels `(B,)`, or whatever else the objective takes of each image.
            noise: As many draws as `noise.spread` made of the images' streams.
            objective: What is differentiated.

        Returns:
            Logits `(draws, B, classes)`, values `(draws, B)` and gradients of the shape of `x`, all detached.

        Raises:
            AttackError: The mode gives no gradients.
            NoGradientError: The classifier has none.
        """
        if self.mode is GradientMode.NONE:
            raise AttackError(
                "expected an attack that needs scores only, got one that asks for gradients; choose another gradient mode"
            )
        if not has_gradients(self.network):
            raise NoGradientError("expected a classifier with gradients, got one without; look at its logits alone")
        logits, values, total, draws = [], [], torch.zeros_like(x), len(noise) // len(x)
        for start, stop in self._chunks(len(noise)):
            began = time.monotonic()
            rows = torch.arange(start, stop, device=x.device) % len(x)
            leaf = x[rows].detach().requires_grad_()
            logits.append(self._logits(leaf, noise[start:stop]))
            values.append(objective(logits[-1], y[rows]))
            (gradient,) = torch.autograd.grad(values[-1].sum(), leaf)
            self._add(total, gradient, start)
            logits[-1], values[-1] = logits[-1].detach(), values[-1].detach()
            self.pace.took("gradient", time.monotonic() - began)
        return (
            torch.cat(logits).view(draws, len(x), -1),
            torch.cat(values).view(draws, len(x)),
            total / draws if draws > 1 else total,
        )

    def pull_back(self, x: Images, noise: Noise, v: Tensor) -> Tensor:
        """The vector `v` at the purified images, carried back to the images through the purifier as the mode says.

        Arguments:
            x: Images `(B, C, H, W)`.
            noise: One stream per image.
            v: The shape of `x`.

        Raises:
            AttackError: The defense aggregates votes, so that there is no single purified image.
        """
        if self._aggregates:
            raise AttackError(
                f"expected a defense with one vote for an attack that carries a vector through the purifier, got votes={self.votes}; "
                "use -D votes=1, or --attack pgd-known or pgd-eot"
            )
        parts = []
        for start, stop in self._chunks(len(x)):
            leaf = x[start:stop].detach().requires_grad_()
            pure = self._padded(leaf, noise[start:stop], self.purify)
            parts.append(torch.autograd.grad(pure, leaf, v[start:stop])[0])
        return torch.cat(parts)

    def shown(self, x: Images, noise: Noise) -> Images:
        """`purify` of any number of images, in padded chunks."""
        parts = [self._padded(x[start:stop], noise[start:stop], self.purify) for start, stop in self._chunks(len(x))]
        return torch.cat(parts)

    def purify(self, x: Images, noise: Noise) -> Images:
        """What the classifier is shown: purified images, differentiable as the mode says.

        Raises:
            UserError: The defense returned another shape or dtype, NaN, or pixels outside [0, 1], wrote into `x`, or drew against its claim.
            AttackError: What it was given was not finite.
        """
        if self.mode is GradientMode.BLIND:
            return x
        if self.deterministic:
            noise = ForbiddenNoise(noise.seed, noise.ids, noise.purpose, noise.draw)
        if self.mode is GradientMode.BPDA:
            return straight_through(lambda image: self._purified(image, noise), x)
        return self._purified(x if self.mode is GradientMode.FULL else x.detach(), noise)

    def _purified(self, x: Images, noise: Noise) -> Images:
        name = type(self.defense).__name__
        before = x._version  # which counts the writes into it
        try:
            with blamed(f"{name}.purify to return images", "run it under --debug"):
                pure = self.defense.purify(x, noise)
        except DrawnError as error:
            raise UserError(not_to_draw(f"{name}.purify")) from error
        if x._version != before:
            raise UserError(f"expected {name}.purify to leave x as it is, got it written into; {LEAVE_X}")
        if not isinstance(pure, Tensor) or pure.shape != x.shape:
            got = tuple(pure.shape) if isinstance(pure, Tensor) else type(pure).__name__
            raise UserError(
                f"expected {name}.purify to return images of shape {tuple(x.shape)}, got {got}; keep the shape"
            )
        if pure.dtype != x.dtype:
            raise UserError(
                f"expected {name}.purify to return images of {x.dtype}, got {pure.dtype}; keep the dtype, as .to(x.dtype) does"
            )
        if not torch.isfinite(pure.detach()).all():
            _check_handed(x, noise)
            raise UserError(
                f"expected {name}.purify to return finite pixels, got NaN or infinity on samples {_not_finite(pure, noise)}; lower its step size"
            )
        return pure

    def _chunks(self, count: int) -> list[tuple[int, int]]:
        return [(start, min(start + self.chunk, count)) for start in range(0, count, self.chunk)]

    def _add(self, total: Tensor, gradient: Tensor, start: int) -> None:
        """Adds the gradients of rows `start...` of a batch spread over draws to their images', one draw after the other."""
        while len(gradient):
            row = start % len(total)
            count = min(len(total) - row, len(gradient))
            total[row : row + count] += gradient[:count]
            gradient, start = gradient[count:], start + count

    def _logits(self, x: Images, noise: Noise) -> Tensor:
        logits = self._padded(x, noise, self._classified)
        return logits.detach() if self.mode is GradientMode.NONE else logits

    def _classified(self, x: Images, noise: Noise) -> Tensor:
        return self._vote(x, noise) if self._aggregates else self._once(x, noise)

    @property
    def ballots(self) -> int:
        """Purifications behind one prediction of this view."""
        return self.votes if self._aggregates else 1

    @property
    def _aggregates(self) -> bool:
        return self.votes > 1 and self.stochastic

    def _vote(self, x: Images, noise: Noise) -> Tensor:
        """The logarithm of the mean over votes of the class probabilities; as many votes in one call as are few rows."""
        ballots, together = noise.ballots(self.votes), max(1, self.voting_rows // len(x))
        parts = []
        for first in range(0, self.votes, together):
            count = min(together, self.votes - first)
            rows = slice(first * len(x), (first + count) * len(x))
            parts.append(self._once(x.repeat(count, 1, 1, 1), ballots[rows]))
        votes = torch.cat(parts).view(self.votes, len(x), -1).log_softmax(dim=2)
        return votes.logsumexp(dim=0) - math.log(self.votes)

    def _once(self, x: Images, noise: Noise) -> Tensor:
        logits = self.classifier(self.purify(x, noise))
        if logits.dim() != 2 or len(logits) != len(x) or logits.shape[1] < 2:
            raise UserError(
                f"expected the classifier to return logits of shape ({len(x)}, classes), got {tuple(logits.shape)}; return one row of at least two logits an image, or check --classifier"
            )
        if not torch.isfinite(logits.detach()).all():
            _check_handed(x, noise)
            raise UserError(
                f"expected finite logits, got NaN or infinity on samples {_not_finite(logits, noise)}; check the classifier and its weights"
            )
        return logits

    def _padded(self, x: Images, noise: Noise, compute: Callable[[Images, Noise], Tensor]) -> Tensor:
        """`compute` of a full chunk, of which `x` are the first rows; the passes are counted as those of its images."""
        count, ids = len(x), tuple(noise.ids.tolist())

        def begin() -> None:
            self.tally.begin(ids, self.chunk)

        begin()
        x = self._guarded(x, ids)
        spare = self.chunk - count
        if spare:
            rows = torch.cat(
                [torch.arange(count, device=x.device), torch.zeros(spare, dtype=torch.long, device=x.device)]
            )
            x, noise = torch.cat([x, x[:1].detach().expand(spare, *x.shape[1:])]), noise[rows]
        return mark(compute(x, noise), begin)[:count]

    def _guarded(self, x: Images, ids: tuple[int, ...]) -> Images:
        """The images, whose gradient comes back finite; what had to be mended is counted for the images `ids`."""

        def report(rows: Tensor) -> None:
            places = rows.nonzero()[:, 0].tolist()
            self.spoiled.note(GRADIENT, [ids[place] for place in places], x.detach()[rows])

        return entrance(x, report)


def _check_handed(x: Images, noise: Noise) -> None:
    """Raises `AttackError` if what came in was not finite, so that nobody behind is blamed for what came out."""
    if not torch.isfinite(x.detach()).all():
        raise AttackError(
            f"expected the attack to look at finite images only, got NaN or infinity on samples {_not_finite(x, noise)}; correct the attack"
        )


def _not_finite(values: Tensor, noise: Noise) -> list[int]:
    """Ids of the images with a value that is not finite."""
    return noise.ids[~torch.isfinite(values.detach()).flatten(1).all(dim=1)].unique().tolist()
