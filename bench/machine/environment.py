"""The environment of a run, which can change the rounding of numbers, and the commit of the code."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import bench


def environment_of(device: torch.device) -> dict[str, Any]:
    """Releases of the software, and the device with its instruction set."""
    return {
        "purebench": bench.__version__,
        "torch": torch.__version__,
        "device": device.type,
        "device_name": _device_name(device),
        "instructions": _instructions(device),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
    }


def commit() -> str | None:
    """The git commit that purebench runs from; None outside a checkout."""
    root = Path(bench.__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()


def _instructions(device: torch.device) -> str:
    """The processor's instruction set and model, or the GPU's architecture: they decide which kernels run."""
    if device.type == "cuda":
        return "sm_{}{}".format(*torch.cuda.get_device_capability(device))
    if device.type != "cpu":
        return device.type
    return f"{torch.backends.cpu.get_cpu_capability()}, {_processor()}"


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(errors="replace").splitlines() if listing.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
