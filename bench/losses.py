"""What attackers ascend: objectives of the logits, one value per image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from bench.defended import Objective
from bench.errors import UserError
from bench.margin import margin

TINY = 1e-12
"""Keeps a quotient finite where logits are equal."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each image."""
    return F.cross_entropy(logits, labels, reduction="none")


def carlini_wagner(logits: Tensor, labels: Tensor) -> Tensor:
    """The negative margin of each image.

    References:
        Towards Evaluating the Robustness of Neural Networks (Carlini, Wagner, 2017)
        https://arxiv.org/abs/1608.04644
    """
    return -margin(logits, labels)


def logit_ratio(logits: Tensor, labels: Tensor) -> Tensor:
    """The negative margin over the distance of the largest from the third largest logit (difference of logits ratio, DLR).

    References:
        Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks (Croce, Hein, 2020)
        https://arxiv.org/abs/2003.01690

    Raises:
        UserError: There are fewer than three classes.
    """
    _need(logits, 3, "dlr")
    largest = logits.topk(3, dim=1).values
    return -margin(logits, labels) / (largest[:, 0] - largest[:, 2] + TINY)


def toward_target(logits: Tensor, pairs: Tensor) -> Tensor:
    """The targeted ratio of Croce and Hein: target minus label, over the spread of the four largest logits.

    With fewer than four classes the difference itself.

    Arguments:
        logits: Shape `(B, classes)`.
        pairs: Label and target of each image, `(B, 2)`.
    """
    own, wanted = logits.gather(1, pairs).unbind(dim=1)
    if logits.shape[1] < 4:
        return wanted - own
    largest = logits.topk(4, dim=1).values
    return (wanted - own) / (largest[:, 0] - (largest[:, 2] + largest[:, 3]) / 2 + TINY)


LOSSES: dict[str, Objective] = {"cw": carlini_wagner, "ce": cross_entropy, "dlr": logit_ratio}


def named_losses(names: tuple[str, ...]) -> list[Objective]:
    """The objectives of these names.

    Raises:
        UserError: None is named, or one that does not exist.
    """
    if not names or not set(names) <= set(LOSSES):
        raise UserError(f"expected losses among {', '.join(LOSSES)}, got {','.join(names)!r}; write -A losses=cw,ce")
    return [LOSSES[name] for name in names]


def _need(logits: Tensor, classes: int, loss: str) -> None:
    if logits.shape[1] < classes:
        raise UserError(
            f"expected at least {classes} classes for the loss {loss}, got {logits.shape[1]}; take losses=cw,ce"
        )
