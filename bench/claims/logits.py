"""What comes out of the classifier: finite logits, not probabilities."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models.inspection import are_probabilities
from bench.records.claim import Claim, judged


def outputs(logits: Tensor) -> list[Claim]:
    """Whether logits `(B, classes)` are finite, and no probabilities."""
    finite = bool(torch.isfinite(logits).all())
    soft = are_probabilities(logits)
    return [
        judged("finite logits", finite, True, finite, "NaN or infinite logits make attacks stop and predictions arbitrary; check the classifier and its weights"),
        judged("not softmax", soft, False, not soft, "gradients through probabilities vanish where the classifier is sure; return what goes into the softmax"),
    ]  # fmt: skip
