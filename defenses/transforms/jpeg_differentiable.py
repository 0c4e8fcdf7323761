"""JPEG compression with a derivative."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.gradient import clamp
from bench.noise import Noise
from bench.protocols import Images
from defenses.transforms.jpeg import check_channels, check_quality

_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99), (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99), *((99,) * 8 for _ in range(4)),
)  # fmt: skip
"""Quantisation tables of the standard (ITU-T T.81, Annex K) at quality 50."""
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411))


@dataclass(frozen=True, kw_only=True)
class DifferentiableJPEG:
    """JPEG with cubic rounding, `round(c) + (c - round(c))^3`, of the cosine coefficients; pixels are not rounded.

    Blocks of 8 x 8 pixels use the standard's tables, scaled as in the codec. Edges are repeated to whole blocks. Colour is
    averaged to half resolution and restored by the codec's triangle filter. It is a separate defense, not a surrogate of
    `jpeg`.

    References:
        JPEG-resistant Adversarial Images (Shin, Song, 2017)
        https://machine-learning-and-security.github.io/papers/mlsec17_paper_54.pdf

    Arguments:
        quality: Quality on the codec's scale, 1 to 100.

    Raises:
        UserError: `quality` is out of its range, or images are neither grey nor of three channels.
    """

    deterministic: ClassVar[bool] = True

    quality: int = 75

    def __post_init__(self) -> None:
        check_quality(self.quality)

    def purify(self, x: Images, noise: Noise) -> Images:
        """The decompressed images."""
        check_channels(x)
        height, width = x.shape[2:]
        if x.shape[1] == 1:
            return clamp((self._coded(255 * x - 128, _LUMINANCE) + 128).div(255))
        mix = x.new_tensor(_TO_YCC)
        grey, *colours = torch.einsum("ij,bjhw->ibhw", mix, 255 * x).unsqueeze(2)
        kept = [self._coded(grey - 128, _LUMINANCE) + 128]
        for colour in colours:
            even = F.pad(colour, (0, width % 2, 0, height % 2), mode="replicate")
            small = self._coded(F.avg_pool2d(even, 2), _CHROMINANCE)
            kept.append(
                F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)[..., :height, :width]
            )
        return clamp(torch.einsum("ij,bjhw->bihw", torch.linalg.inv(mix), torch.cat(kept, dim=1)).div(255))

    def _coded(self, plane: Tensor, table: tuple[tuple[int, ...], ...]) -> Tensor:
        """One centred channel `(B, 1, H, W)` after cosine transform, quantisation and the inverse transform."""
        height, width = plane.shape[2:]
        padded = F.pad(plane, (0, -width % 8, 0, -height % 8), mode="replicate")
        blocks = padded.unfold(2, 8, 8).unfold(3, 8, 8)
        basis, steps = _cosines(plane), self._quantisation(plane, table)
        coefficients = _cubic_round(basis @ blocks @ basis.T / steps) * steps
        back = basis.T @ coefficients @ basis
        return back.permute(0, 1, 2, 4, 3, 5).reshape(padded.shape)[..., :height, :width]

    def _quantisation(self, like: Tensor, table: tuple[tuple[int, ...], ...]) -> Tensor:
        """The table at this quality, in the codec's integer arithmetic."""
        percent = 5000 // self.quality if self.quality < 50 else 200 - 2 * self.quality
        return like.new_tensor([[min(max((entry * percent + 50) // 100, 1), 255) for entry in row] for row in table])


def _cubic_round(c: Tensor) -> Tensor:
    whole = c.detach().round()
    return whole + (c - whole) ** 3


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal cosine basis of 8 points, a row for each frequency."""
    rows = [
        [math.sqrt((1 if k else 0.5) / 4) * math.cos((2 * n + 1) * k * math.pi / 16) for n in range(8)]
        for k in range(8)
    ]
    return like.new_tensor(rows)
