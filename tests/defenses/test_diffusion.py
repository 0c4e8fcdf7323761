"""The diffusion's constants, and the three ways back against closed forms of exact denoisers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from refused import refused

from bench.noise import Noise
from defenses.diffusion.diffpure import END, DiffPure, interval
from defenses.diffusion.diffpure_ddpm import DiffPureDDPM, posterior_deviation, posterior_mean
from defenses.diffusion.diffpure_ode import DiffPureODE
from defenses.diffusion.diffusion import continuous, denoised, discrete, noised, rate, score_of, to_pixels, to_signed

DRAWS = 10_000
FOUR = 4.0
"""Standard errors that a mean over draws may be off."""


@dataclass
class Mixture:
    """`E[x | y]` for images of one pixel from a mixture of Gaussians of one width."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    width: float
    low: float = 0.0

    def shares(self, y, sigma):
        variance = self.width**2 + sigma**2
        logs = [math.log(w) - (y - m) ** 2 / (2 * variance) for w, m in zip(self.weights, self.means, strict=True)]
        return torch.stack(logs).softmax(0)

    def denoise(self, y, sigma):
        assert sigma >= self.low
        variance = self.width**2 + sigma**2
        parts = [(self.width**2 * y + sigma**2 * m) / variance for m in self.means]
        return (self.shares(y, sigma) * torch.stack(parts)).sum(0)


GAUSSIAN = Mixture((1.0,), (0.5,), 0.05)
MIXTURE = Mixture((0.5, 0.5), (0.3, 0.7), 0.05)


def pixels(value, count=DRAWS):
    return torch.full((count, 1, 1, 1), value, dtype=torch.float64)


def purified(defense, x, count=DRAWS):
    """One draw for each of so many images."""
    return defense.purify(pixels(x, count), Noise(3, torch.arange(count))).flatten()


@pytest.mark.parametrize(
    ("t", "kept", "sigma"), [(75, 0.93912, 0.2546), (100, 0.89702, 0.3388), (150, 0.78832, 0.5182)]
)
def test_levels_are_the_published_ones(t, kept, sigma):
    level = discrete(t)
    assert level.mean**2 == pytest.approx(kept, abs=5e-6)
    assert 2 * level.sigma == pytest.approx(sigma, abs=5e-5)
    assert level.mean**2 + level.deviation**2 == pytest.approx(1, abs=1e-12)


def test_the_continuous_level_solves_its_equation():
    """`d mean / dt = -beta mean / 2`, and the variance is preserved."""
    h = 1e-6
    slope = (continuous(0.3 + h).mean - continuous(0.3 - h).mean) / (2 * h)
    assert slope == pytest.approx(-rate(0.3) / 2 * continuous(0.3).mean, rel=1e-8)
    assert continuous(0.3).mean ** 2 + continuous(0.3).deviation ** 2 == pytest.approx(1, abs=1e-14)
    assert (rate(0.0), rate(1.0)) == (0.1, 20.0)


def test_the_score_is_that_of_the_noised_gaussian():
    """`z_t ~ N(m mu, m^2 c^2 + s^2)` has the score `(m mu - z) / (m^2 c^2 + s^2)`."""
    data, level, z = Mixture((1.0,), (0.6,), 0.2), continuous(0.2), torch.linspace(-1, 1, 5, dtype=torch.float64)
    expected = (level.mean * 0.2 - z) / (level.mean**2 * 0.4**2 + level.deviation**2)
    torch.testing.assert_close(score_of(data, z, level), expected)
    assert torch.equal(to_pixels(to_signed(z.abs())), z.abs())


def test_below_the_lowest_level_the_score_is_held():
    data, y = Mixture((1.0,), (0.6,), 0.2, low=0.1), torch.linspace(0, 1, 5, dtype=torch.float64)
    held = denoised(data, y, 0.05)
    torch.testing.assert_close((held - y) / 0.05**2, (data.denoise(y, 0.1) - y) / 0.1**2)
    torch.testing.assert_close(denoised(data, y, 0.1), data.denoise(y, 0.1))


def test_steps_of_the_way_back_end_just_above_zero():
    lengths = [interval(100, 100, k) for k in range(100)]
    assert lengths[0] == pytest.approx((0.1, 1e-3))
    assert lengths[-1] == pytest.approx((1e-3, 1e-3 - END))
    assert sum(h for _, h in lengths) == pytest.approx(0.1 - END)


def flow(start, t):
    """Where the probability flow of the Gaussian takes `z` at time `t`: deviations from the mean shrink with the marginal's width."""
    here, there = continuous(t / 1000), continuous(END)
    width = 2 * GAUSSIAN.width
    spreads = [math.hypot(level.mean * width, level.deviation) for level in (here, there)]
    return start * spreads[1] / spreads[0]  # the mean is 0 in [-1, 1]


def test_the_ode_is_the_analytic_flow_with_an_error_of_first_order():
    noise = Noise(3, torch.arange(20))
    start = noised(to_signed(pixels(0.55, 20)), discrete(100), noise.normal(pixels(0.55, 20)))
    exact = to_pixels(flow(start, 100)).flatten()
    errors = [
        float((purified(DiffPureODE(score=GAUSSIAN, steps=steps), 0.55, 20) - exact).abs().max())
        for steps in (250, 500, 1000)
    ]
    assert errors[2] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.05)


def endpoint(x, t):
    """Mean and variance, in pixels, of `p(z_0 | z_t)` over `z_t` that is `x` noised: the jump has the discrete level."""
    jump, level, variance = discrete(t), continuous(t / 1000), (2 * GAUSSIAN.width) ** 2
    gain = level.mean * variance / (level.mean**2 * variance + level.deviation**2)
    posterior = variance * level.deviation**2 / (level.mean**2 * variance + level.deviation**2)
    mean = gain * jump.mean * (2 * x - 1)
    return (mean + 1) / 2, (posterior + (gain * jump.deviation) ** 2) / 4


def test_the_sde_has_the_analytic_mean_and_variance():
    """Over 10,000 draws; 400 steps leave a bias of discretisation far below the error of the draws."""
    mean, variance = endpoint(0.6, 100)
    draws = purified(DiffPure(score=GAUSSIAN, steps=400), 0.6)
    assert float(draws.mean()) == pytest.approx(mean, abs=FOUR * (variance / DRAWS) ** 0.5)
    assert float(draws.var()) == pytest.approx(variance, rel=FOUR * (2 / DRAWS) ** 0.5)


def test_a_step_of_the_sde_by_hand():
    """`t = 200` in two steps of .1, the second from .1 to 1e-5, with the exact score of the Gaussian."""
    noise, x = Noise(3, torch.arange(4)), pixels(0.6, 4)
    z = noised(2 * x - 1, discrete(200), noise.normal(x))
    for k, (time, h) in enumerate([(0.2, 0.1), (0.1, 0.1 - 1e-5)]):
        beta, level = 0.1 + 19.9 * time, continuous(time)
        score = -z / (level.mean**2 * 0.01 + level.deviation**2)
        z = z + h * (beta * z / 2 + beta * score) + (beta * h) ** 0.5 * noise.normal(x, step=k + 1)
    torch.testing.assert_close(DiffPure(score=GAUSSIAN, t=200, steps=2).purify(x, noise), ((z + 1) / 2).clamp(0, 1))


def endpoints_of_the_mixture(x, t):
    """Chance of the upper component, mean and variance of `p(x_0 | x_t)` over `x_t`, by quadrature."""
    sigma = discrete(t).sigma
    n = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    weight = torch.exp(-(n**2) / 2)
    y = x + sigma * n
    shares, variance = MIXTURE.shares(y, sigma), MIXTURE.width**2 + sigma**2
    means = torch.stack([(MIXTURE.width**2 * y + sigma**2 * m) / variance for m in MIXTURE.means])
    spread = MIXTURE.width**2 * sigma**2 / variance

    def over(values):
        return float((weight * values).sum() / weight.sum())

    mean = over((shares * means).sum(0))
    return over(shares[1]), mean, over((shares * (means**2 + spread)).sum(0)) - mean**2


@pytest.mark.parametrize("make", [DiffPure, DiffPureDDPM], ids=["sde", "ancestral"])
def test_endpoints_follow_the_posterior_of_a_mixture(make):
    """A displacement of half of half the gap, noise of sigma .3: both components are reached, in the right proportion."""
    t = min(range(1, 1000), key=lambda t: abs(discrete(t).sigma - 0.3))
    upper, mean, variance = endpoints_of_the_mixture(0.4, t)
    steps = {"steps": 500} if make is DiffPure else {"steps": t}
    draws = purified(make(score=MIXTURE, t=t, **steps), 0.4)
    share = float((draws > 0.5).double().mean())
    assert 0.3 < upper < 0.5
    assert share == pytest.approx(upper, abs=FOUR * (upper * (1 - upper) / DRAWS) ** 0.5)
    assert float(draws.mean()) == pytest.approx(mean, abs=FOUR * (variance / DRAWS) ** 0.5)
    assert float(draws.std()) == pytest.approx(variance**0.5, rel=0.02)


def test_ancestral_steps_are_the_posterior_of_the_forward_steps():
    """Bayes' rule for `z_s | z_0` and `z_t | z_s`, in precisions."""
    before, now = discrete(40), discrete(90)
    kept = now.mean / before.mean
    precision = 1 / before.deviation**2 + kept**2 / (1 - kept**2)
    z, clean = torch.tensor(0.3), torch.tensor(-0.2)
    mean = (before.mean * clean / before.deviation**2 + kept * z / (1 - kept**2)) / precision
    torch.testing.assert_close(posterior_mean(z, clean, 90, 40), mean)
    assert posterior_deviation(90, 40) == pytest.approx(precision**-0.5)


def test_one_ancestral_step_is_one_pass_of_the_denoiser():
    noise, x = Noise(3, torch.arange(4)), pixels(0.6, 4)
    once = MIXTURE.denoise(x + discrete(100).sigma * noise.normal(x), discrete(100).sigma)
    torch.testing.assert_close(DiffPureDDPM(score=MIXTURE, steps=1).purify(x, noise), once)


@pytest.mark.parametrize("make", [DiffPure, DiffPureODE, DiffPureDDPM])
@pytest.mark.parametrize("arguments", [{"t": 0}, {"t": 1001}, {"steps": 0}, {"votes": 0}])
def test_arguments_out_of_range_are_refused(make, arguments):
    with refused("diffusion-arguments"):
        make(score=GAUSSIAN, **arguments)
    with refused("diffusion-arguments", match=r"1\.\.50"):
        DiffPureDDPM(score=GAUSSIAN, t=50, steps=51)


def test_the_noise_is_printed_in_pixel_units():
    assert DiffPure(score=GAUSSIAN).units == "t=100 of 1000 is noise of sigma 0.1694 in pixel units (0.3388 in [-1, 1])"
    held = DiffPure(score=Mixture((1.0,), (0.5,), 0.05, low=0.05)).units
    assert held.endswith("; below sigma 0.05 the score is held at that level")
