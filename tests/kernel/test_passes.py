"""Pass counts, by hand, of tiny models whose derivatives are known."""

import pytest
import torch
from torch import nn

from bench.passes import KINDS, CountedClassifier, CountedScoreModel, Tally, mark

ID = 7


class Square:
    """A score model whose denoised image is the square of its input."""

    def denoise(self, y, sigma):
        return y**2


@pytest.fixture
def tally():
    tally = Tally()
    tally.begin((ID,), 1)
    return tally


def counts(tally):
    """Forward, backward and second-order passes through the score model."""
    return tuple(tally.of(ID)[f"score_{kind}"] for kind in ("forward", "backward", "hvp"))


def leaf(value=3.0):
    return torch.full((1, 1, 1, 1), value, requires_grad=True)


def test_nothing_is_zero(tally):
    assert tally.of(ID) == dict.fromkeys(KINDS, 0)


def test_forward(tally):
    assert float(CountedScoreModel(Square(), tally).denoise(leaf().detach(), 0.1)) == 9
    assert counts(tally) == (1, 0, 0)


def test_gradient(tally):
    x = leaf()
    (slope,) = torch.autograd.grad(CountedScoreModel(Square(), tally).denoise(x, 0.1).sum(), x)
    assert float(slope) == 6
    assert counts(tally) == (1, 1, 0)


def test_double_backward(tally):
    x = leaf()
    (slope,) = torch.autograd.grad(CountedScoreModel(Square(), tally).denoise(x, 0.1).sum(), x, create_graph=True)
    assert counts(tally) == (1, 1, 0)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    assert float(curvature) == 2
    assert counts(tally) == (1, 1, 1)


def test_two_products_with_one_graph(tally):
    x = leaf()
    (slope,) = torch.autograd.grad(CountedScoreModel(Square(), tally).denoise(x, 0.1).sum(), x, create_graph=True)
    for _ in range(2):
        torch.autograd.grad(slope.sum(), x, retain_graph=True)
    assert counts(tally) == (1, 1, 2)


def test_a_first_order_sweep_after_a_product_is_one(tally):
    x = leaf()
    value = CountedScoreModel(Square(), tally).denoise(x, 0.1).sum()
    (slope,) = torch.autograd.grad(value, x, create_graph=True)
    torch.autograd.grad(slope.sum(), x, retain_graph=True)
    torch.autograd.grad(value, x)
    assert counts(tally) == (1, 2, 1)


def test_descent_on_a_denoiser_by_hand(tally):
    """`z = x - 0.1 d/dx x^2`, then `z^2`: two evaluations, two gradient sweeps, one product; `d/dx z^2 = 2 z 0.8`."""
    score, x = CountedScoreModel(Square(), tally), leaf()
    (slope,) = torch.autograd.grad(score.denoise(x, 0.1).sum(), x, create_graph=True)
    z = x - 0.1 * slope
    (total,) = torch.autograd.grad(score.denoise(z, 0.1).sum(), x)
    assert float(total) == pytest.approx(2 * 2.4 * 0.8)
    assert counts(tally) == (2, 2, 1)


def test_classifier(tally):
    linear = nn.Linear(2, 3)
    model, x = CountedClassifier(linear, tally), torch.ones(1, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(model(x)[0, 1], x)
    assert torch.equal(slope[0], linear.weight[1])
    assert torch.equal(model(x.detach()), linear(x))
    assert tally.of(ID) == dict.fromkeys(KINDS, 0) | {"classifier_forward": 2, "classifier_backward": 1}


def test_counts_are_per_image_of_a_padded_batch():
    tally = Tally()
    model = CountedClassifier(nn.Linear(2, 3), tally)
    tally.begin((4, 9), 8)
    model(torch.ones(8, 2))
    tally.begin((9,), 8)
    model(torch.ones(8, 2))
    assert [tally.of(sample)["classifier_forward"] for sample in (4, 9, 5)] == [1, 2, 0]


def test_a_bank_of_copies_counts_each():
    tally = Tally()
    tally.begin((4, 9), 2)
    CountedScoreModel(Square(), tally).denoise(torch.ones(2 * 5, 1, 1, 1), 0.1)
    assert [tally.of(sample)["score_forward"] for sample in (4, 9)] == [5, 5]


def test_a_backward_pass_belongs_to_the_images_of_its_own_logits():
    tally = Tally()
    model, x = CountedClassifier(nn.Linear(2, 3), tally), torch.ones(1, 2, requires_grad=True)
    outputs = []
    for sample in (4, 9):
        tally.begin((sample,), 1)
        outputs.append(mark(model(x), lambda sample=sample: tally.begin((sample,), 1)))
    outputs[0].sum().backward()
    assert [tally.of(sample)["classifier_backward"] for sample in (4, 9)] == [1, 0]


def test_mark_leaves_logits_as_they_are():
    logits = torch.ones(2, 3)
    assert mark(logits, lambda: pytest.fail("called")) is logits
