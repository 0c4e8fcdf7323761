"""Noise from the operating system behind the claim to be deterministic."""

import os
from typing import ClassVar

import torch

CAUGHT_BY = {"repeats"}


class Defense:
    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        bits = torch.frombuffer(bytearray(os.urandom(x.numel())), dtype=torch.uint8).view(x.shape)
        return (x + 0.05 * (bits.to(x.dtype) / 255 - 0.5)).clamp(0, 1)
