"""Purifiers that run Adam, against torch's Adam, arithmetic by hand and autograd."""

from __future__ import annotations

import pytest
import torch
from refused import refused

from bench.noise import Noise
from defenses.adam import adam
from defenses.diffusion.diffusion import to_pixels
from defenses.lm import LikelihoodMaximization
from defenses.scoreopt import ScoreOpt

IDS = torch.arange(3)
NOISE = Noise(5, IDS)


class Curved:
    """A denoiser with a full Jacobian that depends on the noise level, float64."""

    def __init__(self, pixels=12):
        draws = Noise(5, torch.arange(2), "check")
        self.mix = draws.normal(torch.empty(2, pixels, pixels, dtype=torch.float64)) / pixels**0.5

    def denoise(self, y, sigma):
        level = torch.as_tensor(sigma, dtype=y.dtype).reshape(-1, 1)
        return ((y.flatten(1) @ self.mix[0] / (1 + level)).tanh() @ self.mix[1] * 0.3 + 0.4).view_as(y)


def images(count=3, pixels=12):
    return 0.5 + 0.1 * Noise(3, torch.arange(count), "check").normal(
        torch.empty(count, 1, 1, pixels, dtype=torch.float64)
    )


def quartic(k, z):
    return (z**4 / 4 + (k + 1) * z).flatten(1).sum(dim=1)


def test_adam_is_that_of_torch():
    z = images().requires_grad_()
    theirs = z.detach().clone().requires_grad_()
    optimiser = torch.optim.Adam([theirs], lr=0.03)
    for k in range(7):
        optimiser.zero_grad()
        quartic(k, theirs).sum().backward()
        optimiser.step()
    torch.testing.assert_close(adam(quartic, z, steps=7, step_size=0.03), theirs, rtol=1e-12, atol=1e-12)


def unrolled(loss, z, steps, step_size):
    """The same formulas with one graph over all steps: the derivative is autograd's."""
    m, v = torch.zeros_like(z), torch.zeros_like(z)
    for k in range(steps):
        (g,) = torch.autograd.grad(loss(k, z).sum(), z, create_graph=True)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        z = z - step_size * (m / (1 - 0.9 ** (k + 1))) / ((v / (1 - 0.999 ** (k + 1))).sqrt() + 1e-8)
    return z


def test_the_gradient_goes_through_the_moments():
    mine, theirs, readout = images().requires_grad_(), images().requires_grad_(), images().cos()
    (adam(quartic, mine, steps=6, step_size=0.2) * readout).sum().backward()
    (unrolled(quartic, theirs, 6, 0.2) * readout).sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-10, atol=1e-12)
    cut = torch.ones_like(mine)  # what a gradient that forgets the moments would give for the first step
    assert not torch.allclose(mine.grad, readout * cut, rtol=1e-3)


def test_a_pixel_without_any_gradient_stays_and_passes_its_gradient_on():
    z = images().requires_grad_()
    weight = (z.detach() > 0.5).double()
    moved = adam(lambda k, z: (weight * z**2).flatten(1).sum(dim=1), z, steps=3, step_size=0.1)
    still = weight == 0
    assert 0 < int(still.sum()) < still.numel()
    assert torch.equal(moved[still], z[still])
    moved.sum().backward()
    assert torch.isfinite(z.grad).all()
    assert torch.equal(z.grad[still], torch.ones_like(z)[still])


def lm_loss(score, z, k, low=0.4, high=0.6):
    """The loss of a step, written out: levels and noise as the defense draws them."""
    sigma = low + (high - low) * NOISE.uniform(z[:, :1, :1, :1], step=2 * k)
    noisy = z + sigma * NOISE.normal(z, step=2 * k + 1)
    clean = 2 * score.denoise((noisy + 1) / 2, sigma.flatten() / 2) - 1
    return (clean - z).square().flatten(1).mean(dim=1)


def test_one_step_of_lm_is_one_of_adam_by_hand():
    """At the first step both moments are the gradient's own: `z - .1 g / (|g| + 1e-8)` in [-1, 1], .05 in pixels."""
    score, x = Curved(), images()
    z = (2 * x - 1).requires_grad_()
    (g,) = torch.autograd.grad(lm_loss(score, z, 0).sum(), z)
    expected = ((z - 0.1 * g / (g.abs() + 1e-8) + 1) / 2).clamp(0, 1).detach()
    mine = LikelihoodMaximization(score=score, steps=1).purify(x, NOISE)
    torch.testing.assert_close(mine, expected, rtol=0, atol=1e-12)
    assert float((mine - x).abs().max()) == pytest.approx(0.05, abs=1e-5)


@pytest.mark.parametrize("spread", [0.1, 0.0])
def test_lm_and_scoreopt_are_torchs_adam_on_their_loss(spread):
    score, x = Curved(), images()
    z = (2 * x - 1).requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.1)
    for k in range(5):
        optimiser.zero_grad()
        lm_loss(score, z, k, 0.5 - spread, 0.5 + spread).sum().backward()
        optimiser.step()
    expected = to_pixels(z.detach())
    lm = LikelihoodMaximization(score=score, low=0.5 - spread, high=0.5 + spread)
    opt = ScoreOpt(score=score, steps=5, step_size=0.1, sigma=0.5, spread=spread)
    torch.testing.assert_close(lm.purify(x, NOISE), expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(opt.purify(x, NOISE), expected, rtol=0, atol=1e-11)


def test_the_noise_objective_is_torchs_adam_and_a_pass_of_the_denoiser():
    score, x = Curved(), images()
    n = NOISE.normal(x)
    z = (2 * x - 1 + 0.25 * n).requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.01)

    def clean(z):
        return 2 * score.denoise((z + 1) / 2, 0.125) - 1

    for _ in range(4):
        optimiser.zero_grad()
        ((z - clean(z)) / 0.25 - n).square().flatten(1).mean(dim=1).sum().backward()
        optimiser.step()
    mine = ScoreOpt(score=score, objective="noise", steps=4).purify(x, NOISE)
    torch.testing.assert_close(mine, to_pixels(clean(z.detach())), rtol=0, atol=1e-11)


def test_the_noise_objective_takes_any_level_since_it_keeps_it():
    """As in the published `sampler_opt_xt`, which draws no level; `sampler_opt_x0` draws one within .1 of the given one."""
    score, x = Curved(), images()
    mine = ScoreOpt(score=score, objective="noise", sigma=0.05, spread=0.1).purify(x, NOISE)
    assert torch.equal(mine, ScoreOpt(score=score, objective="noise", sigma=0.05, spread=0.0).purify(x, NOISE))


@pytest.mark.parametrize("objective", ["image", "noise"])
def test_directional_derivative_equals_the_central_difference(objective):
    defense = ScoreOpt(score=Curved(), objective=objective, steps=4, step_size=0.05, sigma=0.4)
    x, direction, readout = images().requires_grad_(), images().sin(), images().cos()
    (defense.purify(x, NOISE) * readout).sum().backward()
    h = 1e-7
    ahead, behind = (defense.purify(x.detach() + s * h * direction, NOISE) for s in (1, -1))
    difference = ((ahead - behind) * readout).sum() / (2 * h)
    assert float((x.grad * direction).sum()) == pytest.approx(float(difference), rel=1e-5)


def test_units():
    assert LikelihoodMaximization(score=Curved()).units == "noise of sigma 0.2 to 0.3 and steps of 0.05 in pixel units"
    assert ScoreOpt(score=Curved()).units == "noise of sigma 0.125 +- 0.05 and steps of 0.005 in pixel units"
    assert "+-" not in ScoreOpt(score=Curved(), objective="noise").units


@pytest.mark.parametrize(
    ("code", "make", "arguments"),
    [
        ("lm-arguments", LikelihoodMaximization, {"steps": -1}),
        ("lm-arguments", LikelihoodMaximization, {"low": 0.0}),
        ("lm-arguments", LikelihoodMaximization, {"low": 0.7}),
        ("lm-arguments", LikelihoodMaximization, {"votes": 0}),
        ("scoreopt-arguments", ScoreOpt, {"spread": 0.25}),
        ("scoreopt-arguments", ScoreOpt, {"spread": -0.1, "objective": "noise"}),
        ("scoreopt-arguments", ScoreOpt, {"sigma": 0.0, "objective": "noise"}),
        ("scoreopt-arguments", ScoreOpt, {"step_size": -1.0}),
        ("scoreopt-objective", ScoreOpt, {"objective": "score"}),
    ],
)
def test_arguments_out_of_range_are_refused(code, make, arguments):
    with refused(code):
        make(score=Curved(), **arguments)
