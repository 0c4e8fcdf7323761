"""The gradient check of code that computes in float32: exact code passes, wrong gradients fail, what cannot be told is not measured."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from audited import PLANTS, REGISTRY, Heard, fired
from refused import refused
from torch.nn.functional import avg_pool2d

from bench.audit.rival import Trusting
from bench.audit.session import Scope, audit
from bench.claims.single_precision import CLOSE, single_error
from bench.claims.twin import resolves
from bench.console.run import summary_text
from bench.defended import DefendedClassifier
from bench.figures.runs import read_run
from bench.figures.summary import EXACT
from bench.machine.device import pick_device
from bench.noise import Noise
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.records.claim import gradient_bar, gradient_open
from bench.records.header import Checks
from bench.run.job import record_path
from bench.run.options import Options
from bench.run.runner import Silent, run
from bench.run.worker import Worker
from bench.testing import check_defense, default_images
from bench.threat import ThreatModel
from leaderboards.entries import exact, flags

HERE = f"{__file__}:"


class Smooth:
    """A few smooth steps that compute in float32, with time steps of that type, and refuse float64."""

    deterministic: ClassVar[bool] = True
    wrong: ClassVar[int] = -1

    def purify(self, x, noise):
        times = torch.linspace(0.5, 0.1, 4)
        mixed = torch.eye(x.shape[3])
        for number, time in enumerate(times):
            with torch.set_grad_enabled(torch.is_grad_enabled() and number != self.wrong):
                step = avg_pool2d(torch.tanh(3 * (x @ mixed) - 1.5), 3, 1, 1) - 2 * (x - 0.5)
            x = x + 0.6 * time * step
        return x.clamp(0, 1)


class HiddenNoGrad(Smooth):
    """One step is left out of the gradient."""

    wrong = 1


class Casts(Smooth):
    """It rounds to float32 inside, and gives back what it was given."""

    def purify(self, x, noise):
        return super().purify(x.float(), noise).to(x.dtype)


class CastsAndDetaches(Casts):
    """A wrong one of the kind."""

    wrong = 2


class _Adjoint(torch.autograd.Function):
    """The identity, whose gradient is off by a vector across it of 22 % of its length, so that the cosine is .977."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        across = g.flip(3)
        along = (across * g).flatten(1).sum(1) / g.square().flatten(1).sum(1).clamp_min(1e-30)
        across = across - along.view(-1, 1, 1, 1) * g
        size = g.flatten(1).norm(dim=1) / across.flatten(1).norm(dim=1).clamp_min(1e-30)
        return g + 0.22 * size.view(-1, 1, 1, 1) * across


class Adjoint(Smooth):
    """Rather a good gradient, as of an adjoint with coarse steps."""

    def purify(self, x, noise):
        return super().purify(_Adjoint.apply(x), noise)


class _TooLong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return 1.22 * g


class TooLong(Smooth):
    """The right direction, the wrong length."""

    def purify(self, x, noise):
        return super().purify(_TooLong.apply(x), noise)


class Detached(Smooth):
    """It divides by a root mean square that is detached, as optimisers' second moments are in published code."""

    def purify(self, x, noise):
        step = super().purify(x, noise) - x
        return (x + 0.1 * step / step.detach().square().mean(dim=(1, 2, 3), keepdim=True).sqrt()).clamp(0, 1)


class Jumps(Smooth):
    """A staircase, finer than any step that float32 resolves, of which autograd sees the flat parts alone plus a slope of its own."""

    def purify(self, x, noise):
        y = 5000 * (x @ torch.eye(x.shape[3]))
        return ((y.round() + (y - y.round()) ** 3) / 5000 - 0.3 * torch.sin(1e5 * x) / 10).clamp(0, 1)


WRONG = [HiddenNoGrad, CastsAndDetaches, Adjoint, TooLong, Detached]


class Waves(torch.nn.Module):
    """Ten smooth logits."""

    def forward(self, x):
        return (x.flatten(1) @ torch.linspace(-1, 1, x[0].numel() * 10, dtype=x.dtype).cos().view(-1, 10)).sin() * 3


def error_of(defense):
    x = default_images(4)
    noise = Noise(3, torch.arange(4))
    return single_error(DefendedClassifier(Waves(), defense(), chunk=4), 0.15 + 0.7 * x, noise)


@pytest.mark.parametrize("defense", [Smooth, Casts])
def test_exact_code_passes_by_far(defense):
    assert error_of(defense) < CLOSE / 3


@pytest.mark.parametrize("defense", WRONG)
def test_wrong_gradients_are_beyond_the_bar(defense):
    assert error_of(defense) > 1.3 * CLOSE


def test_the_error_is_the_length_of_what_is_wrong():
    """22 % of the length along the gradient is .22 / 1.22 of what is claimed; across it, about .22, from eight random directions."""
    assert error_of(TooLong) == pytest.approx(0.22 / 1.22, rel=0.35)
    assert 0.1 < error_of(Adjoint) < 0.4


def test_what_is_too_rough_is_not_measured():
    assert error_of(Jumps) is None


def test_rounding_inside_is_told_from_double_precision():
    x, noise = 0.15 + 0.7 * default_images(4).double(), Noise(3, torch.arange(4))

    class Double(Smooth):
        def purify(self, x, noise):
            return x**2

    assert resolves(DefendedClassifier(Waves(), Double(), chunk=4), x, noise)
    assert not resolves(DefendedClassifier(Waves(), Casts(), chunk=4), x, noise)


def planned(defense, attack="pgd-full"):
    return plan(
        Request(
            defense=HERE + defense.__name__, attack=attack, dataset=f"{PLANTS}/world.py:images", classifier=f"{PLANTS}/world.py:Network",
            threat=ThreatModel.parse("linf:0.03"), arguments={"attacks": {"steps": 1} if attack == "pgd-full" else {}},
        ),
        REGISTRY,
    )  # fmt: skip


def made(folder, defense, attack="pgd-full"):
    summary = run(planned(defense, attack), Options(results=folder, samples=4, device="cpu"), Silent())
    found = read_run(Path(summary["path"]))
    return found, summary_text(summary, found.header.labels.model_dump())


@pytest.mark.parametrize(("defense", "right"), [(Smooth, True), (Casts, True), (HiddenNoGrad, False), (Adjoint, False)])
def test_a_run_says_in_which_precision_it_measured(defense, right, tmp_path):
    found, text = made(tmp_path, defense)
    checks = found.header.checks
    claims = {claim.check: claim.verdict for claim in checks.claims}
    assert claims["gradient, float32"] == ("passed" if right else "failed")
    assert "gradient" not in claims
    assert gradient_bar(checks, EXACT) == CLOSE
    assert exact(found) == right
    assert ("gradient not exact" in flags(found)) != right
    assert "in float32" in text
    assert ("NOT EXACT" in text) != right


def test_a_gradient_that_was_not_measured_is_a_flag_and_suspect(tmp_path):
    found, text = made(tmp_path, Jumps)
    assert found.header.checks.gradient_error is None
    assert "NOT MEASURED" in text
    assert "gradient not measured" in flags(found)
    scope = Scope(samples=4, only=("gradient-path",))
    document = audit(found.path, scope, REGISTRY, Heard(), options=Options(results=tmp_path, device="cpu"))
    assert fired(document) == {"gradient-path"}
    assert document["checks"][0]["verdict"] == "suspect"
    found, _ = made(tmp_path, Jumps, "null")  # which takes no gradient
    assert "gradient not measured" not in flags(found)
    assert not gradient_open(Checks(differentiable=True))  # records of before


def test_what_was_measured_is_not_suspect(tmp_path):
    found, _ = made(tmp_path, Smooth)
    scope = Scope(samples=4, only=("gradient-path",))
    document = audit(found.path, scope, REGISTRY, Heard(), options=Options(results=tmp_path, device="cpu"))
    assert document["checks"][0]["verdict"] == "skipped"


def test_the_factor_of_the_batch_in_a_gradient_alone_is_found():
    """The forward goes image by image; only the derivative is a mean over the batch."""
    worker = Worker(planned(GradientOverBatch), pick_device("cpu"), 1, lambda *_: None)
    claims = {claim["check"]: claim["verdict"] for claim in worker.claims()["claims"]}
    assert claims["gradient"] == "failed"
    assert claims["batch size"] == "passed"


class _OverBatch(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g / len(g)


class GradientOverBatch(Smooth):
    """Exact alone."""

    def purify(self, x, noise):
        return _OverBatch.apply(x)


@pytest.mark.parametrize("defense", [Smooth, Casts])
def test_the_kit_takes_exact_code_for_float32(defense):
    assert len(check_defense(defense())) == 7


@pytest.mark.parametrize("defense", [HiddenNoGrad, CastsAndDetaches, Adjoint, TooLong, Jumps])
def test_the_kit_finds_wrong_gradients_in_float32(defense):
    with refused("contract-broken", match="full gradient: "):
        check_defense(defense())


class ForCifar:
    """It takes nothing but three channels of 32 x 32."""

    deterministic: ClassVar[bool] = True

    def purify(self, x, noise):
        assert x.shape[1:] == (3, 32, 32)
        return 0.9 * x


class Convolves(ForCifar):
    """It fails by itself on other channels."""

    def purify(self, x, noise):
        return torch.nn.functional.conv2d(x, torch.ones(3, 3, 1, 1, dtype=x.dtype) / 3)


class Unpacks(ForCifar):
    """Likewise, by a name of Python's."""

    def purify(self, x, noise):
        red, green, blue = x.unbind(dim=1)
        return torch.stack([red, green, blue], dim=1)


@pytest.mark.parametrize("defense", [ForCifar, Convolves, Unpacks])
def test_the_kit_says_how_other_images_are_given(defense):
    with refused("contract-broken", match=r"\(6, 1, 28, 28\).*images=") as caught:
        check_defense(defense())
    assert sum(bool(check.problem) for check in caught.value.checks) == 1
    images = torch.from_numpy(np.random.Generator(np.random.Philox(key=1)).uniform(size=(4, 3, 32, 32))).float()
    assert len(check_defense(defense(), images=images)) == 7
    with refused("contract-broken") as again:
        check_defense(defense(), images=default_images())
    assert "images=" not in str(again.value)


@pytest.mark.parametrize("images", [torch.rand(4, 3, 32), torch.rand(2, 1, 8, 8), torch.ones(4, 1, 8, 8).long(), [1]])
def test_images_of_another_kind_are_refused(images):
    with refused("kit-images-shape"):
        check_defense(Smooth(), images=images)


def test_trusted_records_without_the_figure_are_not_suspect(tmp_path):
    wanted = planned(Smooth)
    trusted = Trusting({"deterministic": True, "differentiable": True})
    run(wanted, Options(results=tmp_path, samples=4, device="cpu"), Silent(), trusted)
    assert "gradient not measured" not in flags(read_run(record_path(wanted, tmp_path)))
