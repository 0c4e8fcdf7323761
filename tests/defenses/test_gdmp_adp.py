"""Guided diffusion and adaptive ascent against arithmetic by hand."""

from __future__ import annotations

import pytest
import torch
from refused import refused

from bench.noise import Noise
from defenses.adp import ADP
from defenses.diffusion.diffusion import discrete
from defenses.diffusion.gdmp import GDMP

NOISE = Noise(5, torch.arange(3))


class Gaussian:
    """`E[x | y]` for pixels of mean `mean` and deviation `width`; counts how often it is asked."""

    def __init__(self, mean=0.5, width=0.1):
        self.mean, self.width, self.calls = mean, width, 0

    def denoise(self, y, sigma):
        self.calls += 1
        return (self.width**2 * y + sigma**2 * self.mean) / (self.width**2 + sigma**2)


def images(count=3, pixels=12):
    return 0.5 + 0.1 * Noise(3, torch.arange(count), "check").normal(
        torch.empty(count, 1, 1, pixels, dtype=torch.float64)
    )


def test_one_guided_step_by_hand():
    """`t = 1`: the jump to level 2, one step from level 1 to the clean image, its mean pulled to the input noised to level 1."""
    x, score = images(), Gaussian()
    z = 2 * x - 1
    jump, level = discrete(2), discrete(1)
    noisy = jump.mean * z + jump.deviation * NOISE.normal(x, step=0)
    clean = 2 * score.denoise((noisy / level.mean + 1) / 2, level.sigma) - 1  # the mean of the last step
    target = level.mean * z + level.deviation * NOISE.normal(x, step=1)
    mse = (noisy - target).requires_grad_()
    (slope,) = torch.autograd.grad(mse.square().flatten(1).mean(dim=1).sum(), mse)
    kept1, kept2 = level.mean**2, jump.mean**2
    variance = (1 - kept1) / (1 - kept2) * (1 - kept2 / kept1)
    strength = 60000 / (8 * 2 / 255 / 3) * (1 - kept1) ** 0.5 / kept1**0.5
    expected = ((clean.clamp(-1, 1) - variance * strength * slope + 1) / 2).clamp(0, 1)
    torch.testing.assert_close(GDMP(score=score, rounds=1, t=1, steps=1).purify(x, NOISE), expected, rtol=0, atol=1e-12)


def test_without_guidance_a_step_draws_from_the_ancestral_distribution():
    """`t = 2`, two steps: the first has the variance beta."""
    x, score = images(), Gaussian()
    z = discrete(3).mean * (2 * x - 1) + discrete(3).deviation * NOISE.normal(x, step=0)
    for here, draw in ((2, 1), (1, 3)):
        level, before = discrete(here), discrete(here - 1)
        clean = 2 * score.denoise((z / level.mean + 1) / 2, level.sigma) - 1
        beta = 1 - (level.mean / before.mean) ** 2
        z = before.mean * beta / level.deviation**2 * clean + (
            (level.mean / before.mean) * before.deviation**2 / level.deviation**2 * z
        )
        if here > 1:
            z = z + beta**0.5 * NOISE.normal(x, step=draw + 1)
    mine = GDMP(score=score, rounds=1, t=2, steps=2, scale=0.0).purify(x, NOISE)
    torch.testing.assert_close(mine, ((z + 1) / 2).clamp(0, 1), rtol=0, atol=1e-12)


def test_guidance_does_not_depend_on_the_batch():
    x, defense = images(), GDMP(score=Gaussian(), rounds=2, t=20, steps=4)
    whole = defense.purify(x, NOISE)
    for row in range(3):
        rows = slice(row, row + 1)
        torch.testing.assert_close(defense.purify(x[rows], NOISE[rows]), whole[rows], rtol=0, atol=1e-13)


def test_guidance_pulls_toward_the_input_and_its_gradient_counts():
    """A denoiser that forgets most of the image: what is left of it, in value and in gradient, comes through the guidance."""
    x = images().requires_grad_()
    far = Gaussian(mean=0.3, width=0.03)
    free, pulled = (GDMP(score=far, rounds=1, t=30, steps=30, scale=scale) for scale in (0.0, 600.0))
    results = [defense.purify(x, NOISE) for defense in (free, pulled)]
    gaps = [float((result - x).abs().mean().detach()) for result in results]
    assert gaps[1] < 0.8 * gaps[0]
    slopes = [float(torch.autograd.grad(result.sum(), x)[0].abs().mean()) for result in results]
    assert slopes[1] > 2 * slopes[0]


def test_the_full_preset_asks_four_times_thirty_six():
    score = Gaussian()
    GDMP(score=score).purify(images(), NOISE)
    assert score.calls == 144


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_adaptive_steps_go_a_fixed_share_of_the_way_to_the_mode_of_a_gaussian(rate):
    """`x_K = mode + (1 - rate)^K (x_0 - mode)`, whatever the width: the adaptive step finds it."""
    x = images()
    defense = ADP(score=Gaussian(width=0.15), sigma=0.05, level=0.2, rate=rate, steps=6)
    noisy = x + 0.05 * NOISE.normal(x)
    torch.testing.assert_close(defense.purify(x, NOISE), 0.5 + (1 - rate) ** 6 * (noisy - 0.5), rtol=0, atol=1e-9)


def test_a_step_that_would_be_short_stops_its_image_alone():
    """A narrow score: the step to its mode is `rate (.01^2 + level^2) < .001`, so nothing moves; the next image's is longer."""

    class TwoWidths(Gaussian):
        def denoise(self, y, sigma):
            width = torch.tensor([0.01, 0.3], dtype=y.dtype).view(2, 1, 1, 1)
            return (width**2 * y + sigma**2 * 0.5) / (width**2 + sigma**2)

    x, noise = images(2), NOISE[:2]
    pure = ADP(score=TwoWidths(), sigma=0.0, level=0.05, steps=1, rate=0.3).purify(x, noise)
    assert torch.equal(pure[0], x[0])
    torch.testing.assert_close(pure[1], 0.5 + 0.7 * (x[1] - 0.5), rtol=0, atol=1e-9)


def test_steps_are_clamped_to_a_tenth():
    """A wide score at a large rate: the step to its mode is `.9 (.3^2 + .3^2) = .162`."""
    x = images()
    pure = ADP(score=Gaussian(width=0.3), sigma=0.0, level=0.3, rate=0.9, steps=1).purify(x, NOISE)
    slope = (0.5 - x) / (0.3**2 + 0.3**2)
    torch.testing.assert_close(pure, x + 0.1 * slope, rtol=0, atol=1e-9)


def test_at_the_mode_nothing_moves_and_no_derivative_is_lost():
    x = torch.full((3, 1, 1, 4), 0.5, dtype=torch.float64, requires_grad=True)
    pure = ADP(score=Gaussian(), sigma=0.0).purify(x, NOISE)
    assert torch.equal(pure, x)
    pure.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_units():
    assert GDMP(score=Gaussian()).units.startswith("t=36 of 1000 is noise of sigma 0.06")
    assert ADP(score=Gaussian()).units == "noise of sigma 0.25, score at sigma 0.25, both in pixel units"


@pytest.mark.parametrize(
    ("code", "make", "arguments"),
    [
        ("gdmp-arguments", GDMP, {"t": 1000}),
        ("gdmp-arguments", GDMP, {"steps": 37}),
        ("gdmp-arguments", GDMP, {"rounds": 0}),
        ("gdmp-arguments", GDMP, {"ptb": 0.0}),
        ("gdmp-arguments", GDMP, {"scale": -1.0}),
        ("adp-arguments", ADP, {"level": 0.0}),
        ("adp-arguments", ADP, {"steps": -1}),
        ("adp-arguments", ADP, {"votes": 0}),
    ],
)
def test_arguments_out_of_range_are_refused(code, make, arguments):
    with refused(code):
        make(score=Gaussian(), **arguments)
