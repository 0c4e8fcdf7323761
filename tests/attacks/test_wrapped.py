"""Rows without ids: which draw each row gets, whose passes they are, and that foreign code leaves no trace."""

from __future__ import annotations

import random  # noqa: TID251 - what foreign code uses
import sys
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from attacks.wrapped import KeyedRows, global_seed, seed_of
from bench.defended import DefendedClassifier
from bench.gradient import GradientMode
from bench.noise import Noise
from bench.passes import Tally
from defenses.identity import Identity

NOISE = Noise(3, torch.arange(10, 13), "attack")


class Noisy:
    deterministic: ClassVar[bool] = False

    def purify(self, x, noise):
        return x + noise.normal(x)


class Flat(nn.Module):
    """The pixels are the logits."""

    def forward(self, x):
        return x.flatten(1)


def view(defense=None, **arguments):
    return DefendedClassifier(Flat(), defense or Identity(), chunk=2, **arguments)


def images(count, dtype=torch.float32):
    return torch.linspace(0, 1, 4 * count, dtype=dtype).view(count, 1, 2, 2)


def state():
    return str(random.getstate()), str(np.random.get_state()), torch.get_rng_state().tolist()  # noqa: NPY002


def test_row_i_of_call_j_has_draw_j_of_image_i():
    module, x = KeyedRows(view(Noisy()), NOISE, images(3)), images(3)
    for call in range(2):
        expected = (x + NOISE.at(call).normal(x)).flatten(1)
        torch.testing.assert_close(module(x), expected, rtol=0, atol=0)
    torch.testing.assert_close(module(x[:2]), (x[:2] + NOISE[:2].at(2).normal(x[:2])).flatten(1), rtol=0, atol=0)


def test_more_rows_than_images_are_more_calls():
    module, x = KeyedRows(view(Noisy()), NOISE, images(3)), images(7)
    parts = [x[start : start + 3] for start in (0, 3, 6)]
    expected = [part + NOISE[: len(part)].at(call).normal(part) for call, part in enumerate(parts)]
    torch.testing.assert_close(module(x), torch.cat(expected).flatten(1), rtol=0, atol=0)
    assert module.calls == 3


def test_the_module_has_no_parameters_and_infers():
    module = KeyedRows(view(), NOISE, images(3))
    assert list(module.parameters()) == []
    assert not module.training


def test_the_run_computes_in_its_own_dtype_and_logits_are_float32():
    seen = []

    class Watching(Flat):
        def forward(self, x):
            seen.append(x.dtype)
            return super().forward(x)

    model = DefendedClassifier(Watching(), Identity(), chunk=2)
    logits = KeyedRows(model, NOISE, images(3, torch.float64))(images(2))
    assert (seen, logits.dtype) == ([torch.float64], torch.float32)


def test_logits_may_be_overwritten():
    class Remembering(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = torch.ones(2, 4)

        def forward(self, x):
            return self.logits

    classifier = Remembering()
    KeyedRows(DefendedClassifier(classifier, Identity(), chunk=2), NOISE, images(3))(images(2)).zero_()
    assert torch.equal(classifier.logits, torch.ones(2, 4))


def test_gradients_pass():
    x = images(3).requires_grad_()
    logits = KeyedRows(view(Noisy()), NOISE, x)(x)
    logits[:, 1].sum().backward()
    assert torch.equal(x.grad.flatten(1), torch.tensor([[0.0, 1.0, 0.0, 0.0]]).expand(3, 4))
    assert not KeyedRows(view(mode=GradientMode.NONE), NOISE, x)(x).requires_grad


def test_passes_are_shared_out_evenly():
    tally = Tally()
    module = KeyedRows(view(tally=tally), NOISE, images(3))
    for count in (3, 1, 1):
        module(images(count))
    ids = NOISE.ids.tolist()
    assert [tally.of(sample)["classifier_forward"] for sample in ids] == [3, 1, 1]
    tally.level(ids)
    assert [tally.of(sample)["classifier_forward"] for sample in ids] == [2, 2, 1]


def test_levelling_leaves_other_images_alone():
    tally = Tally()
    tally.begin((4,), 1)
    tally.add("score_hvp", 5)
    tally.begin((5,), 1)
    tally.add("score_hvp", 3)
    tally.level([5, 6])
    assert [tally.of(sample)["score_hvp"] for sample in (4, 5, 6)] == [5, 2, 1]


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002, TID251


def test_the_seed_decides_what_foreign_code_draws():
    with global_seed(5):
        first = draws()
    with global_seed(5):
        again = draws()
    with global_seed(6):
        other = draws()
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_global_state_is_as_before():
    before = state()
    with global_seed(5):
        draws()
        assert state() != before
    assert state() == before


def test_global_state_is_as_before_after_an_error():
    before = state()

    def fail():
        with global_seed(5):
            draws()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert state() == before


def test_the_trace_function_is_as_before():
    before = sys.gettrace()

    def trace(frame, event, argument):
        return None

    try:
        sys.settrace(trace)
        with global_seed(5):
            sys.settrace(None)
        kept = sys.gettrace()
    finally:
        sys.settrace(before)
    assert kept is trace


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_state_is_as_before():
    torch.cuda.init()
    before = torch.cuda.get_rng_state()
    drawn = []
    for _ in range(2):
        with global_seed(5):
            drawn.append(float(torch.rand((), device="cuda")))
    assert drawn[0] == drawn[1]
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_seed_of_noise():
    """Philox's word of the first image, without its highest bit."""
    seed = seed_of(NOISE)
    assert 0 <= seed < 1 << 31
    assert seed == int(Noise(3, torch.tensor([10]), "start").words(4)[0, 0, 0]) % (1 << 31)
    assert seed == seed_of(NOISE.of("score").at(7))
    assert len({seed, seed_of(NOISE[1:]), seed_of(Noise(4, NOISE.ids))}) == 3
