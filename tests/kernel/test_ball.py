"""Projections, directions and uniform draws, against closed forms; PGD against the optimum of a linear model."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import kstest

from bench.ball import project, steepest, uniform_in_ball
from bench.noise import Noise
from bench.threat import ThreatModel

LINF, L2 = ThreatModel.parse("linf:0.1"), ThreatModel.parse("l2:0.5")


def far_images():
    return torch.tensor([[0.5, 0.9, 0.0, 0.55]]).view(1, 1, 2, 2), torch.tensor([[0.9, 1.5, -0.4, 0.5]]).view(
        1, 1, 2, 2
    )


def test_projection_onto_the_cube():
    start, x = far_images()
    assert project(x, start, LINF).flatten().tolist() == pytest.approx([0.6, 1.0, 0.0, 0.5])


def test_projection_onto_the_l2_ball_is_along_the_ray_then_clamped():
    start, x = far_images()
    delta = x - start
    ray = start + delta * 0.5 / delta.norm()
    torch.testing.assert_close(project(x, start, L2), ray.clamp(0, 1))


def test_a_point_inside_stays():
    start, _ = far_images()
    near = (start + 0.01).clamp(0, 1)
    assert torch.equal(project(near, start, LINF), near)
    torch.testing.assert_close(project(near, start, L2), near, rtol=0, atol=1e-7)


def test_steepest_directions():
    g = torch.tensor([3.0, -4.0, 0.0, 0.0]).view(1, 1, 2, 2)
    assert steepest(g, LINF).flatten().tolist() == [1, -1, 0, 0]
    assert steepest(g, L2).flatten().tolist() == pytest.approx([0.6, -0.8, 0, 0])
    assert steepest(0 * g, L2).abs().sum() == 0


def test_uniform_draws_fill_the_l2_ball():
    """The radius of a uniform draw in d dimensions has the distribution function r^d."""
    x = torch.full((2000, 1, 2, 2), 0.5)
    draws = uniform_in_ball(x, ThreatModel.parse("l2:0.4"), Noise(1, torch.arange(2000), "start"))
    radius = (draws - x).flatten(1).norm(dim=1) / 0.4
    assert kstest(radius**4, "uniform").pvalue > 0.01


def test_uniform_draws_fill_the_cube():
    x = torch.full((500, 1, 2, 2), 0.5)
    draws = uniform_in_ball(x, LINF, Noise(1, torch.arange(500), "start"))
    assert kstest(((draws - 0.4) / 0.2).flatten(), "uniform").pvalue > 0.01
