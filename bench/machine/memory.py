"""Peak memory: of the device on CUDA, else of the whole process."""

from __future__ import annotations

import contextlib
import re
import resource
import sys
from pathlib import Path

import torch

_MIB = 1 << 20


def synchronize(device: torch.device) -> None:
    """Waits until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    """Resets the peak; outside Linux, the process's peak cannot be reset."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak(device: torch.device) -> int:
    """Largest MiB since the last reset: allocated on the device, or resident in the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // _MIB
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) // 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // (_MIB if sys.platform == "darwin" else 1024)
