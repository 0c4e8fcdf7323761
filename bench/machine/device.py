"""Where to compute."""

from __future__ import annotations

import torch

from bench.errors import UserError

OUT_OF_MEMORY = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What the messages of errors say that have no class of their own."""


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` takes CUDA, then MPS, then the CPU. TF32 is switched off.

    Raises:
        UserError: No such device here.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"expected --device auto, cpu, cuda, cuda:N or mps as this machine has it, got {name!r}; see: bench doctor"
        ) from error
    return device


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: CUDA's, or those that have no class of their own (the CPU's allocator, cuBLAS, cuDNN)."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in text for word in OUT_OF_MEMORY)
