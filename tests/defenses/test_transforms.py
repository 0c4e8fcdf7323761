"""Deterministic baselines against closed forms and other implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from refused import refused
from scipy.ndimage import median_filter
from scipy.optimize import minimize
from torchvision.io import decode_jpeg, encode_jpeg

from bench.noise import ForbiddenNoise, Noise
from defenses.transforms import jpeg_differentiable
from defenses.transforms.bit_depth import BitDepth
from defenses.transforms.jpeg import JPEG
from defenses.transforms.jpeg_differentiable import DifferentiableJPEG
from defenses.transforms.median import Median
from defenses.transforms.threshold import Threshold
from defenses.transforms.total_variation import TotalVariation

FORBIDDEN = ForbiddenNoise(0, torch.arange(3))
LEVEL = 1 / 255


def smooth(channels=1, size=28, count=3):
    """Images of whole 8-bit levels, smooth as photographs are."""
    coarse = Noise(3, torch.arange(count), "check").uniform(torch.empty(count, channels, size // 7 + 1, size // 7 + 1))
    image = torch.nn.functional.interpolate(coarse.double(), size=(size, size), mode="bicubic").clamp(0, 1)
    return (image * 255).round() / 255


def by_torchvision(x, quality):
    """Another binding of the codec."""
    coded = [decode_jpeg(encode_jpeg((image * 255).round().to(torch.uint8), quality=quality)) for image in x]
    return torch.stack(coded).to(x.dtype) / 255


@pytest.mark.parametrize("quality", [20, 75, 95])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_the_codec(channels, quality):
    x = smooth(channels)
    torch.testing.assert_close(
        JPEG(quality=quality).purify(x, FORBIDDEN), by_torchvision(x, quality), rtol=0, atol=(2 * channels) * LEVEL
    )


def test_jpeg_loses_more_at_a_lower_quality():
    x = smooth()
    errors = [float((JPEG(quality=quality).purify(x, FORBIDDEN) - x).abs().mean()) for quality in (10, 50, 95)]
    assert errors[0] > errors[1] > errors[2] > 0


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (1, 32), (3, 32), (3, 27)])
def test_with_hard_rounding_the_differentiable_codec_is_the_real_one(channels, size, monkeypatch):
    """Up to ties in rounding, and the rounding of pixels and of colours in between."""
    monkeypatch.setattr(jpeg_differentiable, "_cubic_round", torch.round)
    x = smooth(channels, size)
    gap = (DifferentiableJPEG().purify(x, FORBIDDEN) - JPEG().purify(x, FORBIDDEN)).abs() / LEVEL
    assert float(gap.mean()) < (0.5 if channels == 1 else 2.0)
    assert float(gap.quantile(0.95)) < (1.0 if channels == 1 else 6.0)


def test_cubic_rounding():
    c = torch.tensor([2.0, 2.25, 2.75, -1.5], dtype=torch.float64, requires_grad=True)
    rounded = jpeg_differentiable._cubic_round(c)
    assert rounded.tolist() == [2.0, 2 + 0.25**3, 3 - 0.25**3, -2 + 0.5**3]
    rounded.sum().backward()
    assert c.grad.tolist() == [0.0, 3 * 0.25**2, 3 * 0.25**2, 3 * 0.5**2]


def test_a_flat_block_is_its_constant_up_to_cubic_rounding():
    """Grey 192: only the constant coefficient, 8 x 64 / 8 steps of 8 at quality 75, a whole number."""
    x = torch.full((1, 1, 8, 8), 192 / 255, dtype=torch.float64)
    torch.testing.assert_close(DifferentiableJPEG().purify(x, FORBIDDEN), x)
    assert torch.equal(JPEG().purify(x, FORBIDDEN), x)


@pytest.mark.parametrize("make", [JPEG, DifferentiableJPEG])
def test_jpeg_refuses_what_it_cannot_code(make):
    with refused("jpeg-quality"):
        make(quality=0)
    with refused("jpeg-channels"):
        make().purify(torch.zeros(1, 2, 8, 8), FORBIDDEN)


def test_bit_depth():
    x = torch.tensor([0.0, 0.2, 0.49, 0.51, 1.0], dtype=torch.float64).view(1, 1, 1, 5)
    assert BitDepth(bits=1).purify(x, FORBIDDEN).flatten().tolist() == [0, 0, 0, 1, 1]
    torch.testing.assert_close(
        BitDepth().purify(x, FORBIDDEN).flatten() * 7, torch.tensor([0.0, 1, 3, 4, 7], dtype=torch.float64)
    )
    with refused("bit-depth-bits"):
        BitDepth(bits=0)


def test_threshold():
    x = torch.tensor([0.0, 0.5, 0.500001, 1.0]).view(1, 1, 1, 4)
    assert Threshold().purify(x, FORBIDDEN).flatten().tolist() == [0, 0, 1, 1]
    assert Threshold(level=0.6).purify(x, FORBIDDEN).flatten().tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("size", [1, 3, 5])
def test_median_is_scipys(size):
    x = Noise(3, torch.arange(2), "check").uniform(torch.empty(2, 2, 9, 7))
    expected = median_filter(x.numpy(), size=(1, 1, size, size), mode="nearest")
    assert np.array_equal(Median(size=size).purify(x, FORBIDDEN).numpy(), expected)


def test_median_passes_each_gradient_to_the_pixel_it_took():
    x = torch.arange(9.0).view(1, 1, 3, 3).div(10).requires_grad_()
    (slope,) = torch.autograd.grad(Median().purify(x, FORBIDDEN)[0, 0, 1, 1], x)
    assert slope.flatten().tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    with refused("median-size"):
        Median(size=2)


def test_total_variation_of_two_plateaus():
    """Rudin, Osher and Fatemi's minimiser keeps the edge and moves a plateau of L columns by weight / L toward the other."""
    x = torch.full((1, 1, 6, 12), 0.2, dtype=torch.float64)
    x[..., 4:] = 0.8
    pure = TotalVariation(weight=0.08, steps=4000).purify(x, FORBIDDEN)
    expected = x.clone()
    expected[..., :4] += 0.08 / 4
    expected[..., 4:] -= 0.08 / 8
    torch.testing.assert_close(pure, expected, rtol=0, atol=1e-6)


def test_total_variation_is_what_another_solver_finds():
    """L-BFGS on the primal, whose kinks are rounded off by 1e-5, for an image of 7 x 6 with slanted edges."""
    x = 0.2 + 0.6 * Noise(3, torch.arange(1), "check").uniform(torch.empty(1, 1, 7, 6, dtype=torch.float64))

    def objective(flat):
        z = torch.tensor(flat).view_as(x).requires_grad_()
        down, right = F.pad(z.diff(dim=-2), (0, 0, 0, 1)), F.pad(z.diff(dim=-1), (0, 1))
        value = (z - x).square().sum() / 2 + 0.05 * (down**2 + right**2 + 1e-10).sqrt().sum()
        return float(value.detach()), torch.autograd.grad(value, z)[0].flatten().numpy()

    found = minimize(
        objective, x.flatten().numpy(), jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-14}
    )
    pure = TotalVariation(weight=0.05, steps=4000).purify(x, FORBIDDEN)
    torch.testing.assert_close(pure.flatten(), torch.from_numpy(found.x), rtol=0, atol=1e-3)


def test_total_variation_arguments():
    assert torch.equal(TotalVariation(steps=0).purify(smooth(), FORBIDDEN), smooth())
    with refused("total-variation-arguments"):
        TotalVariation(weight=0.0)
