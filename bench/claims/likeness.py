"""Compares logits that were computed in two ways."""

from __future__ import annotations

from torch import Tensor

from bench.records.claim import Claim, judged

SINGLE, DOUBLE = 1e-4, 1e-9
"""Largest difference of logits that rounding explains, in float32 and in float64, relative to the largest logit or to 1."""


def difference(one: Tensor, other: Tensor) -> float:
    """Largest absolute difference, relative to the largest logit or to 1."""
    return float((one - other).abs().max() / one.abs().max().clamp_min(1.0))


def alike(check: str, one: Tensor, other: Tensor, meaning: str, *, bar: float = SINGLE) -> Claim:
    """The claim that two tensors of logits, `(B, classes)`, agree up to rounding and predict the same classes.

    Arguments:
        check: Name of the check.
        one: Logits.
        other: The same logits, computed in another way.
        meaning: What a failure means.
        bar: Largest relative difference.
    """
    apart = difference(one, other)
    same = bool((one.argmax(dim=1) == other.argmax(dim=1)).all())
    return judged(check, apart, bar, apart <= bar and (same or apart == 0), meaning)
