"""The device that computes."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from bench.errors import UserError


def pick_device(name: str) -> torch.device:
    """The device of this name, with TF32 switched off; `auto` prefers CUDA, then MPS, then the CPU.

    Raises:
        UserError: This machine has no such device.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError("device-unknown", name=name) from error
    return device


def own_generators(device: torch.device) -> AbstractContextManager[None]:
    """Context that restores torch's global random state, of the CPU and of the device."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])
