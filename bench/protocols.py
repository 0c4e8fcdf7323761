"""Interfaces that third parties implement: classifier, score model, defense, attack."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

from torch import Tensor

if TYPE_CHECKING:
    from bench.defended import DefendedClassifier
    from bench.noise import Noise
    from bench.threat import ThreatModel

Images: TypeAlias = Tensor
"""Floats of shape `(B, C, H, W)` in [0, 1]."""


class Classifier(Protocol):
    """Images to logits."""

    def __call__(self, x: Images) -> Tensor:
        """Maps `(B, C, H, W)` in [0, 1] to `(B, classes)`; each row depends on its own image alone."""
        ...


class ScoreModel(Protocol):
    """A denoiser, which gives the score by Tweedie's formula: `score = (denoise(y, sigma) - y) / sigma^2`.

    An optional attribute `low` is the smallest sigma it was trained for; diffusions never use a smaller one.
    """

    def denoise(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        """`E[x | y]` for `y = x + sigma * n`; sigma in pixel units, a number or one per image, `(B,)`."""
        ...


class Defense(Protocol):
    """A purifier, applied before the classifier."""

    deterministic: ClassVar[bool]

    def purify(self, x: Images, noise: Noise) -> Images:
        """Maps images to images of the same shape in [0, 1]; each row depends on its own image and noise alone.

        It is differentiable in `x` by plain autograd; otherwise its class sets `differentiable = False`. A field
        `votes: int` is the number of purifications behind one prediction; they are aggregated after the classifier.
        A field or property `evaluations: int` is the claimed number of score model passes per purification; it is
        checked before a run.
        """
        ...


class Attack(Protocol):
    """A pure function from images to adversarial images."""

    def __call__(
        self, model: DefendedClassifier, x: Images, y: Tensor, threat: ThreatModel, noise: Noise, **arguments: object
    ) -> Images:
        """Returns images inside the threat's ball around `x` and in [0, 1]."""
        ...
