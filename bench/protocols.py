"""The roles that third parties fill: classifier, score model, defense, attack."""

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
    """A denoiser, which is a score by Tweedie's formula: `score = (denoise(y, sigma) - y) / sigma^2`.

    It may say in an attribute `low` for which lowest sigma it was made: diffusions, which end at 0, ask for no lower one.
    """

    def denoise(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        """`E[x | y]` for `y = x + sigma * n`; sigma in the units of pixels in [0, 1], a number or one for each image, `(B,)`."""
        ...


class Defense(Protocol):
    """A purifier: what stands before the classifier."""

    deterministic: ClassVar[bool]

    def purify(self, x: Images, noise: Noise) -> Images:
        """Maps images to images of the same shape in [0, 1]; each row depends on its own image and noise alone.

        It is differentiable in `x` by plain autograd, or its class says `differentiable = False`. A field `votes: int` says how
        many purifications stand behind one prediction: they are aggregated after the classifier, not here. A field or property
        `evaluations: int` claims how many passes of the score model one purification takes; they are counted before a run.
        """
        ...


class Attack(Protocol):
    """A pure function from images to adversarial images."""

    def __call__(
        self, model: DefendedClassifier, x: Images, y: Tensor, threat: ThreatModel, noise: Noise, **arguments: object
    ) -> Images:
        """Returns images inside the threat's ball around `x` and in [0, 1]."""
        ...
