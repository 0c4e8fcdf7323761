"""Noise predictors as denoisers: against the exact denoiser of a Gaussian, at every noise level, with second derivatives."""

import math

import pytest
import torch
from refused import refused
from torch import nn

from bench.models.denoisers.variance_preserving import VariancePreservingDenoiser

BETAS = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
KEPT = (1 - BETAS).cumprod(dim=0)
MEAN = torch.tensor([-0.3, 0.5, 0.1, 0.9], dtype=torch.float64).view(1, 1, 2, 2)  # in [-1, 1]
SPREAD = torch.tensor([0.2, 0.6, 1.0, 0.05], dtype=torch.float64).view(1, 1, 2, 2)


class GaussianPredictor(nn.Module):
    """The exact answer for data N(MEAN, SPREAD^2) in [-1, 1], at fractional times by interpolating the log signal-to-noise ratio.

    With a kept share a: x_t ~ N(sqrt(a) MEAN, a SPREAD^2 + 1 - a), E[n | x_t] = sqrt(1 - a) (x_t - sqrt(a) MEAN) / (a SPREAD^2 + 1 - a).
    """

    def __init__(self, prediction="epsilon"):
        super().__init__()
        self.prediction, self.seen = prediction, []

    def forward(self, x, time):
        self.seen.append((x, time))
        ratio = (KEPT / (1 - KEPT)).log()
        low = time.floor().long().clamp(max=998)
        between = ratio[low] + (time.double() - low) * (ratio[low + 1] - ratio[low])
        kept = torch.sigmoid(between).view(-1, 1, 1, 1)
        spread, mean = SPREAD.to(x), MEAN.to(x)
        kept = kept.to(x)
        noise = (1 - kept).sqrt() * (x - kept.sqrt() * mean) / (kept * spread**2 + 1 - kept)
        clean = (x - (1 - kept).sqrt() * noise) / kept.sqrt()
        return {
            "epsilon": noise,
            "sample": clean,
            "v_prediction": kept.sqrt() * noise - (1 - kept).sqrt() * clean,
        }[self.prediction]


def exact(y, sigma):
    """E[x | y] in pixel units: data N((MEAN + 1) / 2, (SPREAD / 2)^2)."""
    mean, variance = (MEAN + 1) / 2, (SPREAD / 2) ** 2
    return mean + variance / (variance + sigma**2) * (y - mean)


def model(prediction="epsilon", **options):
    return VariancePreservingDenoiser(GaussianPredictor(prediction), KEPT, prediction=prediction, **options)


Y = torch.linspace(-0.5, 1.5, 12, dtype=torch.float64).view(3, 1, 2, 2)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("level", [0.01, 0.0101, 0.013, 0.03, 0.1, 0.3388, 0.5, 0.7777, 1, 2.5, 5, 10])
def test_the_conversion_is_exact_for_a_gaussian(level, prediction):
    """`level` is the noise level in [-1, 1], half of which is that in pixels."""
    found = model(prediction).double().denoise(Y, level / 2)
    torch.testing.assert_close(found, exact(Y, level / 2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("level", [0.01, 0.05, 0.4, 3, 10])
def test_single_precision_is_as_exact(level):
    found = model().denoise(Y.float(), level / 2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact(Y, level / 2).float(), rtol=0, atol=1e-5)


def test_each_row_has_its_own_noise_level():
    sigma = torch.tensor([0.05, 0.3, 2.0], dtype=torch.float64)
    rows = model().double().denoise(Y, sigma)
    torch.testing.assert_close(
        rows, torch.cat([exact(Y[k : k + 1], float(sigma[k])) for k in range(3)]), rtol=0, atol=1e-5
    )


def test_the_network_is_shown_what_it_was_trained_on():
    """Diffusion papers: y at sigma in pixels is x_t / sqrt(a_t) at noise 2 sigma in [-1, 1]; at t = 100, a is .89702, the level .3388."""
    network = GaussianPredictor()
    level = math.sqrt((1 - float(KEPT[99])) / float(KEPT[99]))
    assert (round(float(KEPT[99]), 5), round(level, 4)) == (0.89702, 0.3388)
    VariancePreservingDenoiser(network, KEPT).double().denoise(Y, level / 2)
    ((x, time),) = network.seen
    torch.testing.assert_close(x, float(KEPT[99]) ** 0.5 * (2 * Y - 1))
    torch.testing.assert_close(time, torch.full((3,), 99.0, dtype=torch.float64), rtol=0, atol=1e-3)


def test_times_at_the_levels_of_the_schedule_are_whole_and_rise_between():
    levels = ((1 - KEPT) / KEPT).sqrt()
    found = model().double().time(levels)
    torch.testing.assert_close(found, torch.arange(1000, dtype=torch.float64), rtol=0, atol=1e-3)
    halves = model().double().time((levels[1:] * levels[:-1]).sqrt())
    torch.testing.assert_close(halves, torch.arange(999) + torch.tensor(0.5, dtype=torch.float64), rtol=0, atol=1e-3)


def test_below_the_schedule_the_score_of_its_smallest_level_is_used():
    """`D(y) = y + sigma^2 score`, with the score at s_0: it goes to y with the square of sigma."""
    smallest = math.sqrt(1e-4 / (1 - 1e-4)) / 2
    score = (exact(Y, smallest) - Y) / smallest**2
    found = model().double().denoise(Y, smallest / 10)
    torch.testing.assert_close(found - Y, (smallest / 10) ** 2 * score, rtol=1e-5, atol=1e-12)


def test_noise_levels_beyond_the_schedule_are_refused():
    assert model().high == pytest.approx(0.5 * math.sqrt((1 - float(KEPT[-1])) / float(KEPT[-1])), rel=1e-5)
    for sigma in (0, -0.1, 79):
        with refused("score-sigma", match=r"\(0, 78\.7"):
            model().denoise(Y, sigma)


def test_images_of_another_size_are_refused():
    with refused("score-image-shape"):
        model(image_shape=(3, 32, 32)).denoise(Y, 0.3)


@pytest.mark.parametrize(
    ("kept", "prediction", "code"),
    [
        (KEPT, "flow", "vp-prediction"),
        (KEPT.flip(0), "epsilon", "vp-schedule"),
        (torch.cat([KEPT[:-1], torch.zeros(1)]), "epsilon", "vp-schedule"),
    ],
)
def test_models_that_cannot_be_converted(kept, prediction, code):
    with refused(code):
        VariancePreservingDenoiser(GaussianPredictor(), kept, prediction=prediction)


def test_a_learned_variance_is_cut_off_and_tuples_are_opened():
    class Both(nn.Module):
        def forward(self, x, time):
            return (torch.cat([GaussianPredictor()(x, time), torch.full_like(x, 7)], dim=1),)

    found = VariancePreservingDenoiser(Both(), KEPT).double().denoise(Y, 0.2)
    torch.testing.assert_close(found, exact(Y, 0.2), rtol=0, atol=1e-5)


def test_noised_images_have_the_variance_of_the_schedule():
    x, noise = torch.full((2, 1, 2, 2), 0.75), torch.ones(2, 1, 2, 2)
    found = model().noised(x, torch.tensor([0, 999]), noise)
    expected = KEPT[[0, 999]].sqrt() * 0.5 + (1 - KEPT[[0, 999]]).sqrt()
    torch.testing.assert_close(found[:, 0, 0, 0].double(), expected, rtol=0, atol=1e-6)


def test_the_schedule_is_part_of_the_state():
    assert list(model().state_dict()) == ["levels"]


class Attention(nn.Module):
    """One fused attention over pixels: what the kernels of the default choice cannot differentiate twice."""

    def forward(self, x, time):
        rows = x.flatten(2).transpose(1, 2)[:, None].contiguous()
        return nn.functional.scaled_dot_product_attention(rows, rows, rows)[:, 0].transpose(1, 2).reshape(x.shape)


def test_attention_has_second_derivatives():
    y = torch.linspace(0, 1, 2 * 8 * 16).view(2, 8, 4, 4).requires_grad_()
    denoised = VariancePreservingDenoiser(Attention(), KEPT).denoise(y, 0.3)
    (slope,) = torch.autograd.grad(denoised.square().sum(), y, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), y)
    assert curvature.abs().max() > 0
