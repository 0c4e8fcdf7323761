"""Losses that attacks maximise: functions of the logits, one value per image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from bench.defended import Objective
from bench.errors import UserError
from bench.margin import margin

TINY = 1e-12
"""Keeps quotients finite where logits are equal."""


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
    """Difference of logits ratio (DLR): the negative margin over the largest minus the third largest logit.

    References:
        Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks (Croce, Hein, 2020)
        https://arxiv.org/abs/2003.01690

    Raises:
        UserError: There are fewer than three classes.
    """
    if logits.shape[1] < 3:
        raise UserError("loss-dlr-classes", classes=logits.shape[1])
    largest = logits.topk(3, dim=1).values
    return -margin(logits, labels) / (largest[:, 0] - largest[:, 2] + TINY)


def toward_target(logits: Tensor, pairs: Tensor) -> Tensor:
    """Targeted DLR of Croce and Hein: target minus label logit, over the spread of the four largest logits.

    With fewer than four classes, the difference is not divided.

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
    """The losses with these names.

    Raises:
        UserError: No name is given, or an unknown one.
    """
    if not names or not set(names) <= set(LOSSES):
        raise UserError("loss-unknown", losses=LOSSES, names=",".join(names))
    return [LOSSES[name] for name in names]
