"""What a classifier must honour, looked at on a few images before a run."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.protocols import Images

TOLERANCE = 1e-3
"""Of logits, relative to the largest: rounding differs between batch shapes by about 1e-6."""


def inspect_classifier(network: nn.Module, x: Images, name: str) -> None:
    """Raises `UserError` if a classifier is in train mode, returns probabilities, or mixes the rows of a batch.

    Arguments:
        network: Images in [0, 1] to logits, after `eval()`.
        x: A few images, well inside [0, 1] and without equal pixels.
        name: What to call it.
    """
    training = [path or "itself" for path, module in network.named_modules() if module.training]
    if training:
        raise UserError(
            f"expected {name} in inference mode after eval(), got {len(training)} modules in train mode, such as {training[0]}; "
            "let its train() reach them"
        )
    logits = network(x).detach()
    if are_probabilities(logits):
        raise UserError(
            f"expected logits from {name}, got probabilities (no negative numbers, and they sum to 1); return what goes into its softmax"
        )
    if len(x) > 1:
        alone = torch.cat([network(row).detach() for row in x.split(1)])
        difference = float((alone - logits).abs().max() / logits.abs().max().clamp_min(1e-12))
        if difference > TOLERANCE:
            raise UserError(
                f"expected each row of logits of {name} to depend on its own image alone, got others in a batch than alone "
                f"(by {difference:.1e} of the largest); put batch normalisation into inference mode"
            )


def are_probabilities(logits: Tensor) -> bool:
    """Whether what should be logits, `(B, classes)`, has no negative numbers and rows that sum to 1."""
    return bool((logits >= 0).all()) and bool(((logits.sum(dim=1) - 1).abs() < TOLERANCE).all())
