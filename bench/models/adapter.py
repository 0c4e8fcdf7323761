"""Adapts classifiers of any form to a run: one call at load time finds their logits and gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.machine.device import own_generators
from bench.models.contained import networks_behind
from bench.protocols import Images

LOGITS = "logits"
"""The attribute or key of the logits if a classifier returns several values."""
TRAITS = ("image_shape", "provenance")
"""Attributes by which a classifier may describe itself."""


class Adapter(nn.Module):
    """Wraps a classifier that returns more than a tensor, has no gradients, or is no `torch.nn.Module`.

    Arguments:
        network: Maps images to logits, or to an object that holds them.
        key: Attribute, key or position of the logits in the result; None if the result is the logits.
        differentiable: Whether the logits have a gradient to the images.
    """

    def __init__(self, network: Callable[[Images], Any], *, key: str | int | None, differentiable: bool) -> None:
        super().__init__()
        self.network, self.key, self.differentiable = network, key, differentiable
        self.held = nn.ModuleList() if isinstance(network, nn.Module) else nn.ModuleList(networks_behind(network))
        self.training = self.held.training = False  # without changing the modules of the network
        for trait in TRAITS:
            if hasattr(network, trait):
                setattr(self, trait, getattr(network, trait))

    @property
    def state(self) -> nn.Module | None:
        """The module with the weights: the network, or the networks that a plain callable holds; None without any."""
        return self.network if isinstance(self.network, nn.Module) else self.held if len(self.held) else None

    def forward(self, x: Images) -> Tensor:
        """Logits `(B, classes)`."""
        logits = _tensor(_taken(self.network(x), self.key))
        # a tensor made in inference mode may not be written to, nor saved for a gradient
        return logits if self.differentiable else logits.detach().clone()


def adapted(network: Any, x: Images, classes: int, name: str) -> nn.Module:
    """The network itself if it maps images to a tensor with gradients, else an `Adapter` of it.

    If it returns several tensors, the logits are the one named `logits`, else the only one of shape `(B, n)`, else the only one
    with as many columns as there are classes. A network that cannot be called at load time, perhaps made for another
    device, is returned unchanged.

    Arguments:
        network: Maps images to logits, or to an object that holds them; in inference mode.
        x: A few images, `(B, C, H, W)`.
        classes: The number of classes of the data set.
        name: Its name in messages.

    Raises:
        UserError: It returns no tensor, or several that may be the logits.
    """
    own = isinstance(network, nn.Module)
    device = next((tensor.device for tensor in network.parameters()), x.device) if own else x.device
    leaf = x.to(device).requires_grad_()
    try:
        with own_generators(device), torch.enable_grad():
            answer = network(leaf.clone())  # a copy, since the network may write into it
    except Exception:  # a check before the run reports the reason, on the device of the run
        return network if own else Adapter(network, key=None, differentiable=True)
    key = _key(answer, len(x), classes, name)
    differentiable = _has_gradient(_tensor(_taken(answer, key)), leaf)
    if own and key is None and isinstance(answer, Tensor) and differentiable:
        return network
    return Adapter(network, key=key, differentiable=differentiable)


def _has_gradient(logits: Tensor, leaf: Tensor) -> bool:
    """Whether a gradient leads from the logits to the images; some kernels have no derivative."""
    if not logits.requires_grad:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about kernels without a derivative
            return torch.autograd.grad(logits.sum(), leaf, allow_unused=True)[0] is not None
    except (RuntimeError, NotImplementedError):
        return False


def _key(answer: Any, rows: int, classes: int, name: str) -> str | int | None:
    """Attribute, key or position of the logits in an answer; None if the answer is the logits."""
    if isinstance(answer, Tensor | np.ndarray):
        return None
    parts = _parts(answer)
    if _is_array(parts.get(LOGITS)):
        return LOGITS
    shapes = {key: tuple(part.shape) for key, part in parts.items() if _is_array(part)}
    fitting = [key for key, shape in shapes.items() if len(shape) == 2 and shape[0] == rows]
    named = [key for key in fitting if shapes[key][1] == classes]
    if len(fitting) != 1 and len(named) != 1:
        found = ", ".join(f"{key}: {shape}" for key, shape in shapes.items()) or "no tensors"
        raise UserError("classifier-output", name=name, kind=type(answer).__name__, found=found)
    return (fitting if len(fitting) == 1 else named)[0]


def _parts(answer: Any) -> dict[Any, Any]:
    """The parts of an answer by key, position or attribute."""
    if isinstance(answer, Mapping):
        return dict(answer)
    if hasattr(answer, "_asdict"):  # a named tuple
        return dict(answer._asdict())
    if isinstance(answer, list | tuple):
        return dict(enumerate(answer))
    return dict(getattr(answer, "__dict__", {})) | (
        {LOGITS: answer.logits} if hasattr(answer, LOGITS) else {}  # may be a property
    )


def _taken(answer: Any, key: str | int | None) -> Any:
    if key is None:
        return answer
    return answer[key] if isinstance(answer, Mapping) or isinstance(key, int) else getattr(answer, key)


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _tensor(value: Any) -> Any:
    """Converts NumPy arrays, which inference sessions return, to tensors; returns anything else unchanged."""
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value
