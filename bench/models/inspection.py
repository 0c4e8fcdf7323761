"""Checks of a classifier on a few images before a run."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.foreign import blamed
from bench.machine.device import own_generators
from bench.protocols import Images

TOLERANCE = 1e-3
"""Largest difference between logits from batches of one shape, relative to the largest logit; rounding gives 0 to about 1e-6."""
ROUNDED = 0.05
"""The same for batches of different shapes, whose kernels round differently: in half precision by about 1e-2."""
SIZES = (1, 2, 8, 16, 32, 50, 64)
"""Batch sizes that are tried after a batch of another size failed."""


def inspect_classifier(network: nn.Module, x: Images, name: str) -> None:
    """Raises `UserError` with the finding if the logits of an image do not depend on this image alone.

    Detected are modules in train mode, writes into the images, other logits in a second call, probabilities, and logits that
    depend on the other images of a batch, on its order or on its size.

    Arguments:
        network: Maps images in [0, 1] to logits, after `eval()`.
        x: A few images, well inside [0, 1] and without equal pixels.
        name: Its name in messages.
    """
    _check_mode(network, name)
    logits = _check_input(network, x, name)
    _check_repeats(network, x, logits, name)
    if are_probabilities(logits):
        raise UserError("classifier-probabilities", name=name)
    if len(x) > 1:
        _check_neighbours(network, x, logits, name)
        _check_alone(network, x, logits, name)


def are_probabilities(logits: Tensor) -> bool:
    """Whether an output `(B, classes)` has no negative numbers and rows that sum to 1."""
    return bool((logits >= 0).all()) and bool(((logits.sum(dim=1) - 1).abs() < TOLERANCE).all())


def advice_on(network: nn.Module, x: Images) -> str:
    """Advice on a classifier that cannot be called with these images, found from other batch sizes and the dtype of its weights."""
    accepted = [size for size in SIZES if size != len(x) and _runs(network, x[:1].repeat(size, 1, 1, 1))]
    if accepted:
        return f"it takes batches of {accepted[0]}: let it take any number of images (a view(-1, ...), an export with a dynamic batch axis)"
    types = {str(tensor.dtype).removeprefix("torch.") for tensor in network.parameters() if tensor.is_floating_point()}
    other = types - {str(x.dtype).removeprefix("torch.")}
    if len(types) == 1 and other:
        return f"its weights are {other.pop()}: call .float() on it, or convert images and logits in its forward"
    return "choose another --classifier"


def _logits(network: nn.Module, x: Images) -> Tensor:
    """Logits in single precision, from a copy of the images."""
    return network(x.clone()).detach().to(x)


def _runs(network: nn.Module, x: Images) -> bool:
    try:
        _logits(network, x)
    except Exception:  # any error means that it does not run
        return False
    return True


def _check_mode(network: nn.Module, name: str) -> None:
    training = [path or "itself" for path, module in network.named_modules() if module.training]
    if training:
        raise UserError("classifier-train-mode", name=name, count=len(training), module=training[0])


def _check_input(network: nn.Module, x: Images, name: str) -> Tensor:
    """Logits; raises `UserError` if the call writes into the images."""
    given = x.clone()
    logits = network(given).detach().to(x)
    written = float((given - x).abs().max())
    # the version counts all writes, also those that change nothing, which autograd forbids
    if written or given._version:
        raise UserError("classifier-writes-input", name=name, written=written)
    return logits


def _check_repeats(network: nn.Module, x: Images, logits: Tensor, name: str) -> None:
    with own_generators(x.device):
        again = [_logits(network, x) for _ in range(2)]
        with own_generators(x.device):
            one = _logits(network, x)
        seeded = torch.equal(one, _logits(network, x))  # both calls start from one state of the generators
    apart = _apart(logits, again[0])
    if apart and _apart(*again):
        cause = (
            "it draws from the random generators of torch: switch off dropout and noise at inference (F.dropout(..., training=self.training))"
            if seeded
            else "it draws random numbers or keeps a state between calls: take that out"
        )
        raise UserError("classifier-not-repeatable", name=name, apart=apart, cause=cause)


def _check_neighbours(network: nn.Module, x: Images, logits: Tensor, name: str) -> None:
    """Tries other images around each image, and another order, in a batch of the same shape."""
    around = torch.cat([_logits(network, row.repeat(len(x), 1, 1, 1))[:1] for row in x.split(1)])
    turned = _logits(network, x.flip(0)).flip(0)
    apart = max(_apart(logits, around), _apart(logits, turned))
    if apart > TOLERANCE:
        batch = [path for path, module in network.named_modules() if getattr(module, "running_mean", module) is None]
        advice = (
            f"let batch normalisation keep running statistics ({batch[0]} has none), or put it into inference mode"
            if batch
            else "put batch normalisation into inference mode; take sums, means and scales (dynamic quantisation) over one image, never over the batch"
        )
        raise UserError("classifier-mixes-images", name=name, apart=apart, advice=advice)


def _check_alone(network: nn.Module, x: Images, logits: Tensor, name: str) -> None:
    """Tries batches of one image."""
    with blamed(f"{name} to take one image as it takes {len(x)}", "let it take batches of any size"):
        rows = [_logits(network, row) for row in x.split(1)]
    shape = (1, logits.shape[1])
    if rows[0].shape != shape:
        raise UserError("classifier-squeezes-batch", shape=shape, name=name, got=tuple(rows[0].shape))
    apart = _apart(logits, torch.cat(rows))
    if apart > ROUNDED:
        raise UserError("classifier-batch-size", name=name, apart=apart)


def _apart(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the largest logit."""
    return float((one - other).abs().max() / one.abs().max().clamp_min(1e-12))
