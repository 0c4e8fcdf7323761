"""Counts of network passes, per image: the cost of a robust accuracy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.autograd import Function

from bench.errors import UserError
from bench.protocols import ScoreModel

KINDS = ("classifier_forward", "classifier_backward", "score_forward", "score_backward", "score_hvp")


@dataclass
class Tally:
    """Passes per image, in units of one image through one network.

    `forward` is an evaluation, `backward` a backward pass that reached the network's input, `hvp` a pass through the
    graph of such a gradient (double backward, as in a Hessian-vector product).
    """

    counts: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    ids: tuple[int, ...] = ()
    size: int = 1

    def begin(self, ids: tuple[int, ...], size: int) -> None:
        """Counts the following passes for the images `ids`, in a batch padded to `size` rows."""
        self.ids, self.size = ids, size

    def add(self, kind: str, rows: int) -> None:
        """Adds a pass of `rows` rows: `rows / size` for each image."""
        for sample in self.ids:
            self.counts[sample][kind] += rows // self.size

    def level(self, ids: Sequence[int]) -> None:
        """Distributes the passes of these images evenly, the rest to the first: for attacks whose rows have no ids."""
        for kind in KINDS:
            share, over = divmod(sum(self.counts[sample][kind] for sample in ids), len(ids))
            for place, sample in enumerate(ids):
                self.counts[sample][kind] = share + (place < over)

    def of(self, sample: int) -> dict[str, int]:
        """The counts of one image."""
        return {kind: self.counts[sample][kind] for kind in KINDS}


class CountedClassifier(nn.Module):
    """A classifier whose passes are counted."""

    def __init__(self, classifier: nn.Module, tally: Tally) -> None:
        super().__init__()
        self.classifier, self.tally = classifier, tally

    def forward(self, x: Tensor) -> Tensor:
        """Logits in the precision and on the device of the images.

        Raises:
            UserError: The classifier returns no tensor.
        """
        logits = self.classifier(_watch(x, "classifier", self.tally))
        if not isinstance(logits, Tensor):
            raise UserError("classifier-not-tensor", kind=type(logits).__name__)
        return logits.to(x)


class CountedScoreModel:
    """A score model whose passes are counted."""

    def __init__(self, score: ScoreModel, tally: Tally) -> None:
        self.score, self.tally = score, tally

    @property
    def low(self) -> float:
        """The smallest noise level that the score model was trained for; 0 if it does not say."""
        return getattr(self.score, "low", 0.0)

    def denoise(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        """Denoises with the score model and counts the pass."""
        return self.score.denoise(_watch(y, "score", self.tally), sigma)


def mark(logits: Tensor, begin: Callable[[], None]) -> Tensor:
    """The same logits; a backward pass through them calls `begin` first."""
    return _Mark.apply(logits, begin) if logits.requires_grad else logits


def _watch(x: Tensor, network: str, tally: Tally) -> Tensor:
    tally.add(f"{network}_forward", len(x))
    return _Watch.apply(x, _Call(network, tally, len(x))) if x.requires_grad else x


@dataclass
class _Call:
    network: str
    tally: Tally
    rows: int
    second: bool = False

    def backward(self) -> None:
        """A backward pass reached the input; one that ends a double backward is counted as `hvp` only."""
        if not self.second:
            self.tally.add(f"{self.network}_backward", self.rows)
        self.second = False

    def hvp(self) -> None:
        self.tally.add(f"{self.network}_hvp", self.rows)
        self.second = True


class _Watch(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, call: _Call) -> Tensor:
        ctx.call = call
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor, None]:
        ctx.call.backward()
        return _WatchBackward.apply(v, ctx.call), None


class _WatchBackward(Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, call: _Call) -> Tensor:
        ctx.call = call
        return v.view_as(v)

    @staticmethod
    def backward(ctx: Any, w: Tensor) -> tuple[Tensor, None]:
        ctx.call.hvp()
        return w, None


class _Mark(Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, begin: Callable[[], None]) -> Tensor:
        ctx.begin = begin
        return logits.view_as(logits)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor, None]:
        ctx.begin()
        return v, None


def has_gradients(classifier: object) -> bool:
    """Whether a classifier, or its description, has gradients with respect to the images."""
    return bool(getattr(classifier, "differentiable", True))
