"""dpsam against autograd, finite differences, and the theory of exact denoisers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from refused import refused
from scipy.optimize import minimize_scalar

from bench.noise import ForbiddenNoise, Noise
from defenses.dpsam import DPSAM

FORBIDDEN = ForbiddenNoise(0, torch.arange(3))


class SmoothDenoiser:
    """A curved denoiser with a full Jacobian, float64."""

    def __init__(self, pixels=12):
        draws = Noise(5, torch.arange(2), "check")
        self.mix = draws.normal(torch.empty(2, pixels, pixels, dtype=torch.float64)) / pixels**0.5

    def denoise(self, y, sigma):
        return (y.flatten(1) @ self.mix[0]).tanh().matmul(self.mix[1]).view_as(y) * 0.5 + 0.4


@dataclass
class Mixture:
    """`E[x | y]` in closed form for a mixture of isotropic Gaussians over all pixels."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    widths: tuple[float, ...]

    def denoise(self, y, sigma):
        flat = y.flatten(1)
        parts = []
        for weight, mean, width in zip(self.weights, self.means, self.widths, strict=True):
            variance = width**2 + sigma**2
            log = np.log(weight) - (flat - mean).square().sum(1) / (2 * variance) - flat.shape[1] * np.log(variance) / 2
            parts.append((log, (width**2 * flat + sigma**2 * mean) / variance))
        shares = torch.stack([log for log, _ in parts]).softmax(0)
        return sum(share[:, None] * mean for share, (_, mean) in zip(shares, parts, strict=True)).view_as(y)

    def log_density(self, x):
        return np.log(
            sum(
                w * np.exp(-((x - m) ** 2) / (2 * s**2)) / s
                for w, m, s in zip(self.weights, self.means, self.widths, strict=True)
            )
        )


def images(count=3, pixels=12):
    return 0.5 + 0.2 * Noise(3, torch.arange(count), "check").normal(
        torch.empty(count, 1, 1, pixels, dtype=torch.float64)
    )


def by_autograd(defense, x):
    """The same purifier, unrolled with `create_graph`: memory grows with the steps, the derivative is autograd's."""
    bank, start = defense.noise_bank(x), x

    def slope(z):
        return torch.autograd.grad(defense.error(bank, z).sum(), z, create_graph=True)[0]

    for _ in range(defense.steps):
        g = slope(x)
        sharp = x + defense.rho * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        moved = x - defense.step_size * slope(sharp)
        if defense.norm == "linf":
            moved = torch.clamp(moved, start - defense.radius, start + defense.radius)
        else:
            length = (moved - start).flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            moved = start + (moved - start) * torch.where(length > defense.radius, defense.radius / length, 1.0)
        x = moved.clamp(0, 1)
    return x


@pytest.mark.parametrize("rho", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.3), ("linf", 0.02), ("l2", 0.5), ("l2", 0.05)])
def test_value_and_gradient_are_those_of_the_unrolled_graph(norm, radius, rho):
    defense = DPSAM(score=SmoothDenoiser(), rho=rho, norm=norm, radius=radius, step_size=0.3)
    own, reference = images().requires_grad_(), images().requires_grad_()
    readout = images().cos()
    mine, theirs = defense.purify(own, FORBIDDEN), by_autograd(defense, reference)
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-14)
    ((mine * readout).sum()).backward()
    ((theirs * readout).sum()).backward()
    torch.testing.assert_close(own.grad, reference.grad, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.3), ("linf", 0.02), ("l2", 0.05)])
def test_directional_derivative_equals_the_central_difference(norm, radius):
    defense = DPSAM(score=SmoothDenoiser(), norm=norm, radius=radius)
    x, direction, readout = images().requires_grad_(), images().sin(), images().cos()
    (defense.purify(x, FORBIDDEN) * readout).sum().backward()
    h = 1e-6
    ahead, behind = (defense.purify(x.detach() + s * h * direction, FORBIDDEN) for s in (1, -1))
    difference = ((ahead - behind) * readout).sum() / (2 * h)
    assert float((x.grad * direction).sum()) == pytest.approx(float(difference), rel=1e-7)


def test_a_pixel_at_rest_on_the_ball_passes_its_gradient_to_the_input():
    """With a radius that every pixel hits, x' = x +- radius, so the Jacobian is the identity."""
    far = Mixture((1.0,), (30.0,), (0.1,))
    x = images().clamp(0.3, 0.7).requires_grad_()
    pure = DPSAM(score=far, radius=0.01).purify(x, FORBIDDEN)
    torch.testing.assert_close(pure, x + 0.01)
    pure.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("sizes", [{"step_size": 0.0}, {"radius": 0.0}])
def test_black_and_white_pixels_that_do_not_move_have_the_derivative_one(norm, sizes):
    """The Jacobian of the identity, at ties of the ball and of [0, 1]; torch.clamp would have 0 there, or halves."""
    x = torch.tensor([0.0, 0.5, 1.0] * 4, dtype=torch.float64).view(1, 1, 1, 12).requires_grad_()
    pure = DPSAM(score=SmoothDenoiser(), norm=norm, **sizes).purify(x, FORBIDDEN)
    torch.testing.assert_close(pure, x, rtol=0, atol=0)
    pure.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


def test_no_gradient_no_ascent():
    """Where nothing is to be reconstructed the slope is exactly zero: nothing moves, and no derivative is NaN."""

    class Perfect:
        def denoise(self, y, sigma):
            return 1 * y

    x = torch.full((2, 1, 1, 4), 0.5, dtype=torch.float64, requires_grad=True)
    pure = DPSAM(score=Perfect(), bank=0, rho=0.5).purify(x, FORBIDDEN)
    assert torch.equal(pure, x)
    pure.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


def test_zero_steps_and_zero_radius_change_nothing():
    x = images().clamp(0, 1)
    assert torch.equal(DPSAM(score=SmoothDenoiser(), steps=0).purify(x, FORBIDDEN), x)
    for norm in ("linf", "l2"):
        assert torch.equal(DPSAM(score=SmoothDenoiser(), radius=0, norm=norm).purify(x, FORBIDDEN), x)


def test_without_a_bank_and_with_a_flat_denoiser_half_a_step_is_one_pass():
    class Constant:
        def denoise(self, y, sigma):
            return torch.full_like(y, 0.5) + 0 * y

    x = images().clamp(0.3, 0.7)
    pure = DPSAM(score=Constant(), bank=0, steps=1, step_size=0.5, rho=0).purify(x, FORBIDDEN)
    torch.testing.assert_close(pure, torch.full_like(x, 0.5))


def test_the_bank_is_antithetic_and_the_same_for_every_batch_and_precision():
    defense = DPSAM(score=SmoothDenoiser(), bank=6)
    bank = defense.noise_bank(images(3))
    assert torch.equal(bank[:3], -bank[3:])
    assert torch.equal(bank, defense.noise_bank(images(1)))
    assert torch.equal(bank.float(), defense.noise_bank(images().float()))


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("dpsam-bank", {"bank": 3}),
        ("dpsam-bank", {"bank": -2}),
        ("dpsam-arguments", {"sigma": 0.0}),
        ("dpsam-arguments", {"steps": -1}),
        ("dpsam-arguments", {"rho": -0.1}),
        ("dpsam-arguments", {"radius": -1.0}),
        ("dpsam-norm", {"norm": "l1"}),
    ],
)
def test_arguments_out_of_range_are_refused(code, arguments):
    with refused(code):
        DPSAM(score=SmoothDenoiser(), **arguments)


# Theory: one dimension, exact denoiser, Gauss-Hermite quadrature instead of a bank.


def exact_error(mixture, sigma, x):
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    y = torch.from_numpy(x + sigma * nodes).view(-1, 1, 1, 1)
    residual = mixture.denoise(y, sigma).flatten().numpy() - x
    return float((weights * residual**2).sum() / weights.sum())


OVERLAPPING = Mixture((0.6, 0.4), (0.0, 2.5), (1.0, 0.7))
SEPARATED = Mixture((0.6, 0.4), (0.0, 6.0), (0.5, 0.5))


def minimiser(function, low, high):
    return minimize_scalar(function, bounds=(low, high), method="bounded", options={"xatol": 1e-7}).x


@pytest.mark.parametrize("x", [-1.0, 0.3, 1.2, 2.0])
def test_small_noise_expansion_of_the_reconstruction_error(x):
    """`(ERE - sigma^2) / sigma^4` goes to `2 s' + s^2`, the pointwise score-matching objective, with an error of order sigma^2."""
    h = 1e-4
    left, middle, right = (OVERLAPPING.log_density(x + shift) for shift in (-h, 0, h))
    limit = 2 * (left - 2 * middle + right) / h**2 + ((right - left) / (2 * h)) ** 2
    gaps = [abs((exact_error(OVERLAPPING, s, x) - s**2) / s**4 - limit) for s in (0.1, 0.05)]
    assert gaps[0] < 0.3
    assert gaps[1] < gaps[0] / 3


@pytest.mark.parametrize(("low", "high", "mode"), [(-1, 1, 0.0), (5, 7, 6.0)])
def test_minimisers_of_well_separated_components_are_the_modes(low, high, mode):
    assert minimiser(lambda x: exact_error(SEPARATED, 0.1, x), low, high) == pytest.approx(mode, abs=1e-3)


@pytest.mark.parametrize(("low", "high", "minimum", "mode"), [(-1, 0.8, -0.11, 0.01), (2, 3.2, 2.63, 2.44)])
def test_minimisers_of_overlapping_components_are_not_the_modes(low, high, minimum, mode):
    """The known offset: the error's minimisers are biased toward modes, they are not the modes."""
    assert minimiser(lambda x: exact_error(OVERLAPPING, 0.03, x), low, high) == pytest.approx(minimum, abs=0.01)
    assert minimiser(lambda x: -OVERLAPPING.log_density(x), low, high) == pytest.approx(mode, abs=0.01)


def test_descent_from_either_side_ends_at_the_nearer_mode():
    separated = Mixture((0.5, 0.5), (0.3, 0.7), (0.04, 0.04))
    x = torch.tensor([0.36, 0.64], dtype=torch.float64).view(2, 1, 1, 1)
    pure = DPSAM(score=separated, sigma=0.05, bank=4096, steps=60, step_size=0.3, rho=0).purify(x, FORBIDDEN)
    assert pure.flatten().tolist() == pytest.approx([0.3, 0.7], abs=1e-3)


def test_a_small_bank_leaves_the_exact_error_by_its_own_noise():
    """The relative error of the gradient falls as one over the root of the bank: 16 dimensions, between two modes."""
    mixture = Mixture((0.5, 0.5), (0.3, 0.7), (0.1, 0.1))
    x = torch.full((1, 1, 1, 16), 0.48, dtype=torch.float64, requires_grad=True)

    def slope(bank):
        defense = DPSAM(score=mixture, sigma=0.2, bank=bank)
        return torch.autograd.grad(defense.error(defense.noise_bank(x), x).sum(), x)[0]

    exact = slope(1 << 16)
    errors = {bank: float((slope(bank) - exact).norm() / exact.norm()) for bank in (8, 128, 2048)}
    assert errors[8] > 4 * errors[2048]
    assert errors[2048] < 0.3
