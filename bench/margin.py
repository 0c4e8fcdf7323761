"""The margin of a prediction."""

from __future__ import annotations

import torch
from torch import Tensor


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the label minus the largest other logit, shape `(B,)`; negative means misclassified.

    Arguments:
        logits: Shape `(B, classes)`.
        labels: Shape `(B,)`.
    """
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own[:, 0] - others.amax(dim=1)
