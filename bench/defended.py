"""The classifier after the purifier, as one attacker sees it: the only thing an attack is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from bench.errors import AttackError, BenchError, UserError
from bench.gradient import GradientMode, straight_through
from bench.noise import ForbiddenNoise, Noise
from bench.passes import CountedClassifier, Tally, mark
from bench.protocols import Defense, Images

Objective = Callable[[Tensor, Tensor], Tensor]
"""Logits `(B, classes)` and labels `(B,)` to one value per image, which the attacker wants to be large."""


class DefendedClassifier:
    """Classifier after purifier under one gradient mode, evaluated in chunks of a fixed, padded size.

    Kernels are chosen by shape, so padding makes the result of an image bit-identical whatever its neighbours are.

    Arguments:
        classifier: Images to logits, frozen and in inference mode.
        defense: The purifier.
        mode: What the attacker differentiates.
        chunk: Images in one network call.
        tally: Receives the pass counts.
        advance: Called by attacks with the share of their work that is done and the number of images not broken yet.

    Raises:
        UserError: Full gradients are asked of a defense that says it has none.
    """

    def __init__(
        self,
        classifier: nn.Module,
        defense: Defense,
        *,
        mode: GradientMode = GradientMode.FULL,
        chunk: int = 16,
        tally: Tally | None = None,
        advance: Callable[[float, int], None] = lambda done, standing: None,
    ) -> None:
        if mode is GradientMode.FULL and not getattr(defense, "differentiable", True):
            raise UserError(
                f"{type(defense).__name__} says it is not differentiable, so there is no full gradient; use --attack pgd-bpda or pgd-blind"
            )
        self.tally = tally or Tally()
        self.network, self.defense, self.mode, self.chunk = classifier, defense, mode, chunk
        self.advance = advance
        self.classifier = CountedClassifier(classifier, self.tally)

    def view(self, mode: GradientMode) -> DefendedClassifier:
        """The same classifier and defense, counted together, under another gradient mode."""
        return DefendedClassifier(
            self.network, self.defense, mode=mode, chunk=self.chunk, tally=self.tally, advance=self.advance
        )

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
        """Whether a wrong label that the attacker sees is one that the score will see."""
        return self.deterministic and self.mode is not GradientMode.BLIND

    def __call__(self, x: Images, noise: Noise) -> Tensor:
        """Logits of images under the draw that `noise` names, shape `(B, classes)`; differentiable as the mode says.

        Arguments:
            x: Images `(B, C, H, W)`.
            noise: One stream per image.
        """
        return torch.cat([self._chunk(x[rows], noise[rows]) for rows in self._chunks(len(x))])

    def differentiate(self, x: Images, y: Tensor, noise: Noise, objective: Objective) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, objective and its gradient, chunk by chunk, so that one chunk's graph is alive at a time.

        Returns:
            Logits `(B, classes)`, values `(B,)` and gradients of the shape of `x`, all detached.

        Raises:
            AttackError: The mode gives no gradients.
        """
        if self.mode is GradientMode.NONE:
            raise AttackError(
                "expected an attack that needs scores only, got one that asks for gradients; choose another gradient mode"
            )
        parts = []
        for rows in self._chunks(len(x)):
            leaf = x[rows].detach().requires_grad_()
            logits = self._chunk(leaf, noise[rows])
            values = objective(logits, y[rows])
            (gradient,) = torch.autograd.grad(values.sum(), leaf)
            parts.append((logits.detach(), values.detach(), gradient))
        logits, values, gradients = (torch.cat(column) for column in zip(*parts, strict=True))
        return logits, values, gradients

    def purify(self, x: Images, noise: Noise) -> Images:
        """What the classifier is shown: purified images, differentiable as the mode says.

        Raises:
            UserError: The defense returned another shape, NaN, or pixels outside [0, 1].
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
        try:
            pure = self.defense.purify(x, noise)
        except (BenchError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise UserError(
                f"expected {name}.purify to return images, got {type(error).__name__}: {error}; run it under --debug"
            ) from error
        if not isinstance(pure, Tensor) or pure.shape != x.shape:
            got = tuple(pure.shape) if isinstance(pure, Tensor) else type(pure).__name__
            raise UserError(
                f"expected {name}.purify to return images of shape {tuple(x.shape)}, got {got}; keep the shape"
            )
        if not torch.isfinite(pure.detach()).all():
            raise UserError(f"expected {name}.purify to return finite pixels, got NaN or infinity; lower its step size")
        return pure

    def _chunks(self, count: int) -> Iterator[slice]:
        return (slice(start, min(start + self.chunk, count)) for start in range(0, count, self.chunk))

    def _chunk(self, x: Images, noise: Noise) -> Tensor:
        count, ids = len(x), tuple(noise.ids.tolist())

        def begin() -> None:
            self.tally.begin(ids, self.chunk)

        begin()
        spare = self.chunk - count
        if spare:
            rows = torch.cat(
                [torch.arange(count, device=x.device), torch.zeros(spare, dtype=torch.long, device=x.device)]
            )
            x, noise = torch.cat([x, x[:1].detach().expand(spare, *x.shape[1:])]), noise[rows]
        logits = mark(self.classifier(self.purify(x, noise)), begin)
        if logits.dim() != 2 or len(logits) != self.chunk or logits.shape[1] < 2:
            raise UserError(
                f"expected the classifier to return logits of shape ({self.chunk}, classes), got {tuple(logits.shape)}; check --classifier"
            )
        if not torch.isfinite(logits.detach()).all():
            raise UserError("expected finite logits, got NaN or infinity; check the classifier and its weights")
        logits = logits[:count]
        return logits.detach() if self.mode is GradientMode.NONE else logits
