"""Checks of a defense and of the tensors that pass through it: every error names the part that broke its contract."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.errors import AttackError, NoGradientError, UserError
from bench.foreign import blamed
from bench.gradient import GradientMode
from bench.keyed import name_of
from bench.noise import DrawnError, Noise
from bench.passes import has_gradients
from bench.protocols import Defense, Images

LEAVE_X = "do not write into x: x = x * 0.5, not x *= 0.5"


def check_differentiable(name: str, defense: object, mode: GradientMode) -> None:
    """Raises `UserError` if the mode needs gradients through a defense, or a class of defenses, that has none."""
    if mode is GradientMode.FULL and not getattr(defense, "differentiable", True):
        raise UserError("defense-not-differentiable", name=name)


def check_gradients(mode: GradientMode, classifier: object) -> None:
    """Raises `AttackError` if the mode gives no gradients, or `NoGradientError` if the classifier has none."""
    if mode is GradientMode.NONE:
        raise AttackError("attack-wants-gradients")
    if not has_gradients(classifier):
        raise NoGradientError("classifier-no-gradients")


def check_one_vote(votes: int) -> None:
    """Raises `AttackError` if a prediction has several votes, so that there is no single purified image."""
    if votes > 1:
        raise AttackError("attack-votes", votes=votes)


def purified(defense: Defense, x: Images, noise: Noise) -> Images:
    """The images that a defense returns, checked.

    Raises:
        UserError: Another shape or dtype, values that are not finite, a write into `x`, or a draw against its claim.
        AttackError: `x` itself is not finite.
    """
    name = name_of(defense)
    version = x._version  # counts in-place writes
    try:
        with blamed(f"{name}.purify to return images", "run it under --debug"):
            pure = defense.purify(x, noise)
    except DrawnError as error:
        raise UserError("defense-draws", name=name) from error
    if x._version != version:
        raise UserError("defense-writes-input", name=name, advice=LEAVE_X)
    _check_form(name, pure, x)
    if not torch.isfinite(pure.detach()).all():
        _check_input(x, noise)
        raise UserError("defense-not-finite", name=name, samples=_not_finite(pure, noise))
    return pure


def check_logits(logits: Tensor, x: Images, noise: Noise) -> None:
    """Checks what a classifier returned for the images `x`.

    Raises:
        UserError: The shape is not `(B, classes)` with at least two classes, or a logit is not finite.
        AttackError: `x` itself is not finite.
    """
    if logits.dim() != 2 or len(logits) != len(x) or logits.shape[1] < 2:
        raise UserError("logits-shape", count=len(x), shape=tuple(logits.shape))
    if not torch.isfinite(logits.detach()).all():
        _check_input(x, noise)
        raise UserError("logits-not-finite", samples=_not_finite(logits, noise))


def _check_form(name: str, pure: object, x: Images) -> None:
    if not isinstance(pure, Tensor) or pure.shape != x.shape:
        got = tuple(pure.shape) if isinstance(pure, Tensor) else type(pure).__name__
        raise UserError("defense-shape", name=name, shape=tuple(x.shape), got=got)
    if pure.dtype != x.dtype:
        raise UserError("defense-dtype", name=name, dtype=x.dtype, got=pure.dtype)


def _check_input(x: Images, noise: Noise) -> None:
    """Raises `AttackError` if the input was not finite: then neither defense nor classifier is at fault."""
    if not torch.isfinite(x.detach()).all():
        raise AttackError("attack-input-not-finite", samples=_not_finite(x, noise))


def _not_finite(values: Tensor, noise: Noise) -> list[int]:
    """Ids of the images with a value that is not finite."""
    return noise.ids[~torch.isfinite(values.detach()).flatten(1).all(dim=1)].unique().tolist()
