"""Draws of foreign code, keyed by image and number: which numbers come, in which batch, and in the backward pass."""

from __future__ import annotations

import random
import threading

import foreign_purifiers as foreign
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.gradient import GradientMode, unroll
from bench.keyed import ALONE, OPERATIONS, Keyed, keyed, name_of, taking_noise
from bench.keyed.draws import START, STEPS, KeyedDraws
from bench.keyed.generators import forked, global_state, held_by, same_state, seed_all
from bench.keyed.purifier import SEEDS
from bench.noise import Noise

BATCH = 64
X = Noise(1, torch.arange(BATCH)).uniform(torch.empty(BATCH, 1, 8, 8, dtype=torch.float64))
NOISE = Noise(5, torch.arange(100, 100 + BATCH), "score", 3)
FEW = slice(0, 5)
STAND_INS = {
    foreign.Ddpm: OPERATIONS, foreign.CheckpointedDdpm: OPERATIONS, foreign.UnrolledSteps: OPERATIONS,
    foreign.AdamFromRandomStart: OPERATIONS, foreign.Latent: OPERATIONS, foreign.OwnTorchGenerator: OPERATIONS,
    foreign.MeanOverBatch: ALONE, foreign.ByNumpy: ALONE, foreign.OwnGenerators: ALONE, foreign.Multinomial: ALONE,
}  # fmt: skip
BOTH = [(defense, means) for defense in (foreign.CheckpointedDdpm, foreign.UnrolledSteps) for means in (OPERATIONS, ALONE)]  # fmt: skip


def with_means(defense, means):
    return Keyed(taking_noise(defense()), means)


def drawn(function, rows=FEW):
    """What a function draws in a batch of some rows of the images."""
    with forked([START] * 3), KeyedDraws(NOISE[rows]):
        return function(X[rows])


@pytest.mark.parametrize(("defense", "means"), STAND_INS.items())
def test_the_faster_means_is_chosen_where_it_holds(defense, means):
    found = keyed(defense(), X[FEW].float(), NOISE[FEW])
    assert (found.means, name_of(found), found.deterministic) == (means, defense.__name__, False)


def test_torchsde_runs_image_by_image():
    pytest.importorskip("torchsde")
    found = keyed(foreign.sde_purifier()(), X[FEW], NOISE[FEW])
    assert found.means == ALONE
    assert not torch.equal(found.purify(X[FEW], NOISE[FEW]), found.purify(X[FEW], NOISE[FEW].at(4)))


def test_rows_are_drawn_from_the_streams_of_their_images():
    """By formula: draw k of an operation is step `STEPS + k` of the noise."""
    like = torch.empty(5, 3, dtype=torch.float64)
    normal, uniform = drawn(lambda x: (torch.randn(5, 3).double(), torch.empty(5, 3).uniform_(2, 4).double()))
    assert torch.equal(normal, NOISE[FEW].normal(like, step=STEPS))
    assert torch.allclose(uniform, 2 + 2 * NOISE[FEW].uniform(like, step=STEPS + 1), atol=1e-6)


P = torch.full((BATCH, 40, 40), 0.3)
OPERATIONS_OF_TORCH = {  # what is called on a batch of images; mean and standard deviation
    "randn": (lambda x: torch.randn(len(x), 40, 40, dtype=torch.float64), 0, 1),
    "randn_like": (lambda x: torch.randn_like(P[: len(x)]), 0, 1),
    "normal_": (lambda x: torch.empty(len(x), 40, 40).normal_(1, 2), 1, 2),
    "normal of numbers": (lambda x: torch.normal(1.0, 2.0, (len(x), 40, 40)), 1, 2),
    "normal of tensors": (lambda x: torch.normal(P[: len(x)], 2 * torch.ones(40)), 0.3, 2),
    "distribution": (lambda x: torch.distributions.Normal(1.0, 2.0).sample((len(x), 40, 40)), 1, 2),
    "rand": (lambda x: torch.rand(len(x), 40, 40), 0.5, 12**-0.5),
    "rand_like": (lambda x: torch.rand_like(P[: len(x)], dtype=torch.float64), 0.5, 12**-0.5),
    "uniform_": (lambda x: torch.empty(len(x), 40, 40).uniform_(-1, 1), 0, 3**-0.5),
    "exponential_": (lambda x: torch.empty(len(x), 40, 40).exponential_(2), 0.5, 0.5),
    "bernoulli": (lambda x: torch.bernoulli(P[: len(x)]), 0.3, 0.21**0.5),
    "bernoulli_": (lambda x: torch.empty(len(x), 40, 40, dtype=torch.int64).bernoulli_(0.3), 0.3, 0.21**0.5),
    "randint": (lambda x: torch.randint(-2, 3, (len(x), 40, 40)), 0, 2**0.5),
    "randint_like": (lambda x: torch.randint_like(P[: len(x)], 5), 2, 2**0.5),
    "random_": (lambda x: torch.empty(len(x), 40, 40).random_(0, 5), 2, 2**0.5),
    "dropout": (lambda x: F.dropout(torch.ones(len(x), 40, 40), 0.5), 1, 1),
    "native_dropout": (lambda x: torch.native_dropout(torch.ones(len(x), 40, 40), 0.5, True)[0], 1, 1),
    "dropout2d": (lambda x: F.dropout2d(torch.ones(len(x), 1600, 2, 2), 0.5), 1, 1),
}


@pytest.mark.parametrize("name", OPERATIONS_OF_TORCH)
def test_an_operation_keeps_its_distribution_form_and_rows(name):
    function, mean, deviation = OPERATIONS_OF_TORCH[name]
    values, plain = drawn(function, slice(0, BATCH)), function(X)
    assert (values.shape, values.dtype) == (plain.shape, plain.dtype)
    alone = torch.cat([drawn(function, slice(row, row + 1)) for row in (3, 7)])
    assert torch.equal(values[[3, 7]], alone)
    independent = BATCH * 1600
    assert float(values.double().mean()) == pytest.approx(mean, abs=6 * deviation / independent**0.5)
    assert float(values.double().std()) == pytest.approx(deviation, rel=0.02)
    assert len({tuple(row) for row in values.flatten(1).tolist()}) == BATCH  # no two images share numbers


SHARED = {
    "one number": lambda x: torch.rand(()),
    "one for all": lambda x: torch.randn(1, 4),
    "rows that are no images": lambda x: torch.randn(2 * len(x)),
    "randperm": lambda x: torch.randperm(len(x)),
    "multinomial": lambda x: torch.multinomial(torch.ones(len(x), 3), 1),
    "a generator of its own": lambda x: torch.rand(len(x), generator=torch.Generator().manual_seed(1)),
    "a seed": lambda x: (torch.manual_seed(3), torch.rand(len(x))),
    "complex": lambda x: torch.randn(len(x), dtype=torch.complex64),
    "64 bits": lambda x: torch.randint(1 << 40, (len(x),)),
    "NumPy": lambda x: np.random.rand(len(x)),
    "Python": lambda x: random.random(),
}


@pytest.mark.parametrize("name", SHARED)
def test_what_is_not_drawn_by_rows_is_refused_in_a_batch_and_keyed_alone(name):
    class Shares(foreign.Foreign):
        def purify(self, x):
            SHARED[name](x)
            return x

    with pytest.raises(UserError) as error:
        with_means(Shares, OPERATIONS).purify(X[FEW], NOISE[FEW])
    assert error.value.code == "draws-not-by-row"
    assert torch.equal(with_means(Shares, ALONE).purify(X[FEW], NOISE[FEW]), X[FEW])


def test_attention_does_not_draw():
    query = torch.ones(1, 5, 2, 4)
    assert drawn(lambda x: F.scaled_dot_product_attention(query, query, query)).shape == query.shape


def test_image_by_image_is_what_these_seeds_give():
    words = NOISE[FEW].words(12, step=SEEDS).permute(1, 2, 0).reshape(5, 12).tolist()
    found = with_means(foreign.ByNumpy, ALONE).purify(X[FEW], NOISE[FEW])
    before = global_state()
    for row in range(5):
        torch_seed, numpy_seed, python_seed = (
            (w >> 1) << 32 | v for w, v in zip(words[row][:6:2], words[row][1:6:2], strict=True)
        )
        torch.default_generator.manual_seed(torch_seed)
        np.random.seed(numpy_seed & 0xFFFFFFFF)
        random.seed(python_seed)
        assert torch.equal(found[row : row + 1], foreign.ByNumpy().purify(X[row : row + 1]))
    for source, state in before:
        source.write(state)


@pytest.mark.parametrize(("defense", "means"), STAND_INS.items())
def test_batches_of_1_7_and_64_predict_the_same_in_double_precision(defense, means):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    network[1].weight.data = Noise(3, torch.arange(10)).normal(network[1].weight)
    built, noise = with_means(defense, means), NOISE.spread(2)
    logits = [DefendedClassifier(network, built, chunk=size).sample(X, noise).detach() for size in (1, 7, 64)]
    assert max(float((part - logits[0]).abs().max()) for part in logits) < 1e-11
    assert all(torch.equal(part.argmax(2), logits[0].argmax(2)) for part in logits)
    assert not torch.equal(logits[0][0], logits[0][1])  # another draw is another one


@pytest.mark.parametrize(("defense", "means"), [*STAND_INS.items(), *BOTH])
def test_the_gradient_is_that_of_finite_differences_at_the_same_draw(defense, means):
    built, x, noise = with_means(defense, means), 0.1 + 0.8 * X[FEW], NOISE[FEW]
    way, readout = (Noise(9, NOISE.ids[FEW]).normal(x, step=step) for step in (1, 2))
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((built.purify(leaf, noise) * readout).sum(), leaf)
    up, down = ((built.purify(x + h * way, noise) * readout).sum((1, 2, 3)).detach() for h in (1e-6, -1e-6))
    assert torch.allclose((gradient * way).sum((1, 2, 3)), (up - down) / 2e-6, rtol=1e-5, atol=1e-6)


def test_what_forgets_its_draws_has_another_gradient():
    """So that the test above can fail."""
    with pytest.raises(AssertionError):
        test_the_gradient_is_that_of_finite_differences_at_the_same_draw(foreign.ForgetsItsDraws, ALONE)


@pytest.mark.parametrize(("defense", "means"), BOTH)
def test_another_thread_may_go_backward_and_twice(defense, means):
    built, leaf, results = with_means(defense, means), X[FEW].clone().requires_grad_(), []
    loss = built.purify(leaf, NOISE[FEW]).square().sum()
    (expected,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    thread = threading.Thread(target=lambda: results.extend(torch.autograd.grad(loss, leaf)))
    thread.start()
    thread.join()
    assert torch.equal(results[0], expected)


@pytest.mark.parametrize(("defense", "means"), [*STAND_INS.items(), *BOTH])
def test_all_generators_are_as_before(defense, means):
    built, leaf = with_means(defense, means), X[FEW].clone().requires_grad_()
    before = global_state(held_by(built.inner))
    torch.autograd.grad(built.purify(leaf, NOISE[FEW]).sum(), leaf)
    assert same_state(before, global_state(held_by(built.inner)))


def test_they_are_as_before_after_an_error_too():
    class Fails(foreign.Foreign):
        def purify(self, x):
            torch.rand(len(x))
            raise ZeroDivisionError

    before = global_state()
    for means in (OPERATIONS, ALONE):
        with pytest.raises(ZeroDivisionError):
            with_means(Fails, means).purify(X, NOISE)
    assert same_state(before, global_state())


def test_only_what_draws_elsewhere_is_wrapped():
    class Keeps(foreign.Foreign):
        def purify(self, x, noise):
            return x + noise.normal(x)

    class Claims(foreign.Latent):
        deterministic = True

    plain = Keeps()
    assert keyed(plain, X[FEW], NOISE[FEW]) is plain
    assert name_of(keyed(Claims(), X[FEW], NOISE[FEW])) == "Claims"
    assert not isinstance(keyed(Claims(), X[FEW], NOISE[FEW]), Keyed)
    with pytest.raises(UserError) as error:
        keyed(foreign.FromTheSystem(), X[FEW], NOISE[FEW])
    assert error.value.code == "draws-not-keyed"


def test_purify_takes_noise_or_not():
    class Three:
        deterministic = False

        def purify(self, x, noise, more):
            return x

    assert torch.equal(taking_noise(foreign.SeedsInside()).purify(X, NOISE), foreign.SeedsInside().purify(X))
    with pytest.raises(UserError) as error:
        taking_noise(Three())
    assert error.value.code == "defense-signature"


def test_generators_are_found_where_defenses_keep_them():
    class Deep(nn.Module):
        on_class = random.Random(1)

        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(1, 1))
            self.inner[0].chance = torch.Generator()
            self.more = {"a": [np.random.RandomState(1)]}

    held = held_by(Deep())
    assert sorted(type(source.generator).__name__ for source in held) == ["Generator", "Random", "RandomState"]
    chance = np.random.Generator(np.random.Philox(key=1))
    (source,) = held_by(lambda: chance)
    with forked([1, 2, 3, 4], [source]):
        first = chance.normal()
    with forked([1, 2, 3, 4], [source]):
        assert chance.normal() == first
    assert chance.normal() == np.random.Generator(np.random.Philox(key=1)).normal()


def test_unrolled_steps_draw_the_same_again_without_any_key():
    """As in `torch.utils.checkpoint`."""
    before = global_state()
    seed_all(3)
    x = X[FEW].clone().requires_grad_()
    y = unroll(lambda z: z * torch.rand(z.shape, dtype=z.dtype), x, steps=3)
    after = global_state()
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.allclose(gradient, y.detach() / x.detach())
    assert same_state(after, global_state())
    for source, state in before:
        source.write(state)


def test_a_copied_image_pads_a_chunk_without_a_purification():
    calls = []

    class Counts(foreign.Latent):
        def purify(self, x):
            calls.append(len(x))
            return super().purify(x)

    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).double()
    DefendedClassifier(network, with_means(Counts, ALONE), mode=GradientMode.NONE, chunk=7)(X[:2], NOISE[:2])
    assert calls == [1, 1]
