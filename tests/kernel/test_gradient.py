"""Unrolling and straight-through against closed forms and autograd."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from bench.gradient import chain, clamp, straight_through, unroll


def smooth(x, anchor=0.0):
    return 0.5 * x + 0.3 * torch.sin(x.roll(1, dims=1)) + 0.1 * anchor


def start():
    return torch.linspace(-1, 1, 10, dtype=torch.float64).view(2, 5).requires_grad_()


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_unroll_is_the_loop_and_its_gradient(steps):
    mine, theirs = start(), start()
    y = unroll(smooth, mine, mine, steps=steps)
    z = theirs
    for _ in range(steps):
        z = smooth(z, theirs)
    assert torch.equal(y, z)
    y.square().sum().backward()
    z.square().sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-14, atol=1e-14)


def test_unroll_passes_the_numerical_check():
    assert torch.autograd.gradcheck(lambda x: unroll(smooth, x, steps=3), (start(),))


def test_a_linear_step_gives_the_power_of_its_factor():
    x = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    unroll(lambda z: 0.9 * z, x, steps=7).backward()
    assert float(x.grad) == pytest.approx(0.9**7, rel=1e-15)


def test_a_step_with_an_inner_gradient_is_differentiated_if_it_keeps_its_graph():
    """Gradient descent on sum(x^4) / 4 with rate r: x' = x - r x^3, derivative 1 - 3 r x^2."""

    def descend(x):
        with torch.enable_grad():
            leaf = x if x.requires_grad else x.detach().requires_grad_()
            (g,) = torch.autograd.grad((leaf**4 / 4).sum(), leaf, create_graph=x.requires_grad)
        return x - 0.1 * g

    x = start()
    unroll(descend, x, steps=1).sum().backward()
    torch.testing.assert_close(x.grad, 1 - 0.3 * x.detach() ** 2)


def test_straight_through_has_the_value_and_the_identity():
    x = start()
    y = straight_through(lambda z: (z * 4).round() / 4, x)
    torch.testing.assert_close(y, (x * 4).round() / 4)
    (y * torch.arange(10).view(2, 5)).sum().backward()
    assert torch.equal(x.grad, torch.arange(10.0, dtype=torch.float64).view(2, 5))


def rotate(angle, x, moment, anchor):
    """A step of two states that mixes them, and reads the context."""
    return torch.sin(x + angle * moment) + 0.1 * anchor, 0.9 * moment - angle * x**2


def test_a_chain_of_different_steps_is_the_loop_and_its_gradient():
    angles, grads = [0.1, 0.4, 0.2], []
    for unrolled in (True, False):
        x, anchor = start(), start()
        state = (x, torch.ones_like(x))
        if unrolled:
            state = chain([partial(rotate, angle) for angle in angles], state, anchor)
        else:
            for angle in angles:
                state = rotate(angle, *state, anchor)
        (state[0].square() + state[1]).sum().backward()
        grads.append((state[0].detach(), x.grad, anchor.grad))
    for mine, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-14, atol=1e-14)


def test_a_chain_passes_gradients_where_a_step_drops_a_state():
    """`(x, m) -> (m, 2 m)`: x gets none, and what is not read counts as zero."""
    x, m = start(), start()
    y, _ = chain([lambda x, m: (m, 2 * m)], (x, m))
    y.sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))
    assert torch.equal(m.grad, torch.ones_like(m))
    assert chain([], (x, m)) == (x, m)


def test_kicks_are_added_after_each_step_and_drawn_once():
    """`x -> sin x + kick` twice, the second without: the gradient of sin(sin x + k) is cos(sin x + k) cos x."""
    drawn, x = [], start()

    def kick():
        drawn.append(1)
        return torch.full((2, 5), 0.3, dtype=torch.float64)

    (y,) = chain([lambda z: (torch.sin(z),)] * 2, (x,), kicks=[kick, None])
    y.sum().backward()
    inner = torch.sin(x.detach()) + 0.3
    torch.testing.assert_close(y.detach(), torch.sin(inner), rtol=1e-15, atol=1e-15)
    torch.testing.assert_close(x.grad, torch.cos(inner) * torch.cos(x.detach()), rtol=1e-14, atol=1e-14)
    assert len(drawn) == 1


EDGES = [-torch.inf, -1.0, -0.0, 0.0, 1e-9, 0.5, 1.0, 1.0 + 1e-7, 2.0, torch.inf, torch.nan]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1, 1), (0.5, 0.5)])
def test_clamp_has_the_bits_of_torch(dtype, low, high):
    x = torch.tensor(EDGES, dtype=dtype).repeat(9)  # long enough for vectorised loops
    mine, theirs = clamp(x, low, high), x.clamp(low, high)
    assert mine.dtype == dtype
    assert torch.equal(mine.nan_to_num(7), theirs.nan_to_num(7))
    assert torch.equal(mine.signbit() & ~x.isnan(), theirs.signbit() & ~x.isnan())


def test_clamp_has_the_derivative_one_at_its_ends_and_torch_has_none():
    x = torch.tensor([-0.1, 0.0, 0.5, 1.0, 1.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(clamp(x).sum(), x)[0].tolist() == [0, 1, 1, 1, 0]
    assert torch.autograd.grad(clamp(x, -0.1, 0.5).sum(), x)[0].tolist() == [1, 1, 1, 0, 0]
    assert torch.func.jvp(clamp, (x,), (torch.ones_like(x),))[1].tolist() == [0, 1, 1, 1, 0]


def test_clamp_is_differentiated_twice():
    """Of `clamp(x)^3` the second derivative is `6 x` inside and at the ends."""
    x = torch.tensor([-0.1, 0.0, 0.5, 1.0, 1.1], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(clamp(x).pow(3).sum(), x, create_graph=True)
    assert torch.autograd.grad(slope.sum(), x)[0].tolist() == [0, 0, 3, 6, 0]


def test_the_derivative_of_ends_that_are_tensors_goes_to_them_outside_alone():
    x = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5], dtype=torch.float64, requires_grad=True)
    low, high = (torch.full_like(x, value).requires_grad_() for value in (0.2, 0.4))
    parts = torch.autograd.grad(clamp(x, low, high).sum(), (x, low, high))
    assert [part.tolist() for part in parts] == [[0, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
