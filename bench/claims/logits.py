"""Checks that the classifier returns finite logits, not probabilities."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models.inspection import are_probabilities
from bench.records.claim import Claim, judged

NOT_FINITE = "NaN or infinite logits make attacks stop and predictions arbitrary; check the classifier and its weights"
SOFTMAX = "gradients through probabilities vanish where the classifier is sure; return what goes into the softmax"


def outputs(logits: Tensor) -> list[Claim]:
    """The claims that logits `(B, classes)` are finite and are not probabilities."""
    finite = bool(torch.isfinite(logits).all())
    soft = are_probabilities(logits)
    return [
        judged("finite logits", finite, True, finite, NOT_FINITE),
        judged("not softmax", soft, False, not soft, SOFTMAX),
    ]
