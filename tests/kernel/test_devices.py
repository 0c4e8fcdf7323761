"""Nothing inside a purifier or an attack makes a tensor without saying on which device: on a GPU it would lie on the CPU."""

import pytest
import torch
from torch.overrides import TorchFunctionMode

from bench.defended import DefendedClassifier
from bench.foreign import out_of_memory
from bench.gradient import GradientMode
from bench.models.denoisers.variance_preserving import VariancePreservingDenoiser
from bench.models.embedded import fashion_mnist_classifier, fashion_mnist_score_model
from bench.models.networks.preconditioning import levels_of
from bench.noise import Noise
from bench.registry.tables import make_registry
from bench.testing import default_images
from bench.threat import ThreatModel

FACTORIES = {
    getattr(torch, name)
    for name in (
        "arange", "as_tensor", "empty", "eye", "from_numpy", "full", "linspace", "logspace", "ones", "rand", "randint", "randn",
        "randperm", "scalar_tensor", "tensor", "zeros", "tril_indices", "hann_window",
    )
}  # fmt: skip
DEVICE = torch.device("cpu")
QUICK = {
    "attacks.apgd": {"steps": 3, "eot": 1}, "attacks.pgd": {"steps": 2, "eot": 2}, "attacks.square": {"queries": 3},
    "attacks.cw": {"steps": 2, "searches": 2}, "attacks.diffhammer": {"steps": 1, "eot": 2, "em": 2}, "attacks.random": {"tries": 2},
    "attacks.ensemble": {"steps": 2, "queries": 2, "eot": 1, "verdict": 2, "targets": 1},
}  # fmt: skip
"""Settings in which each loop turns at least twice."""


class OnNoDevice(TorchFunctionMode):
    """Fails on a factory that is not told the device."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if (
            function in FACTORIES
            and kwargs.get("device") is None
            and not (function is torch.as_tensor and torch.is_tensor(args[0]))
        ):
            raise AssertionError(f"torch.{function.__name__} without a device")
        return function(*args, **kwargs)


class Fetching(TorchFunctionMode):
    """Fails where a number leaves its tensor, for which the CPU would wait for a GPU."""

    FETCHES = frozenset({"item", "__bool__", "__float__", "__int__", "__index__", "tolist", "numpy", "cpu", "nonzero"})

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__name__", "") in self.FETCHES:
            raise AssertionError(f"{function.__name__} fetches from the device")
        return function(*args, **(kwargs or {}))


def built(name, kind="defenses"):
    found = make_registry().find(kind, name)
    return found.load(), dict(found.entry.args), found.entry


def defenses():
    return [name for name in make_registry().tables["defenses"] if name != "jpeg"]  # whose codec runs on the CPU


def attacks():
    return [
        name
        for name, entry in make_registry().tables["attacks"].items()
        if not entry.package and not entry.parameter and entry.target.partition(":")[0] in QUICK
    ]


def defense(name):
    target, arguments, _ = built(name)
    if "score" in target.__dataclass_fields__:
        arguments["score"] = fashion_mnist_score_model()
    if arguments.get("steps", 0) > 10 or getattr(target, "steps", 0) > 10:
        arguments["steps"] = 2
    return target(**{k: 2 if k == "votes" else v for k, v in arguments.items()})


def view(purifier, mode=GradientMode.FULL, known=0):
    if mode is GradientMode.FULL and not getattr(purifier, "differentiable", True):
        mode = GradientMode.NONE
    return DefendedClassifier(fashion_mnist_classifier(), purifier, mode=mode, chunk=2, known=known)


def test_the_watch_sees_what_it_should():
    with OnNoDevice():
        torch.zeros(1, device=DEVICE)
        with pytest.raises(AssertionError, match=r"torch\.arange without a device"):
            torch.arange(3)


def test_draws_and_denoisings_fetch_nothing():
    x, noise = default_images(3), Noise(0, torch.arange(3))
    kept = (1 - torch.linspace(1e-4, 2e-2, 50, dtype=torch.float64)).cumprod(dim=0)
    models = fashion_mnist_score_model(), VariancePreservingDenoiser(Nothing(), kept)
    with Fetching():
        with pytest.raises(AssertionError, match="__bool__ fetches"):
            bool((x > 0).any())
        noise.normal(x, step=1)
        for model in models:
            model.denoise(x, 0.1)


class Nothing(torch.nn.Module):
    def forward(self, x, time):
        return torch.zeros_like(x)


def test_a_level_is_the_same_number_copied_or_filled_in():
    y = torch.zeros(2, 1, 4, 4)
    for sigma in (0.1, 0.3, 1 / 3, 2):
        assert torch.equal(levels_of(sigma, y, torch.float32), torch.tensor([sigma], dtype=torch.float32))
    each = torch.tensor([0.1, 0.2], dtype=torch.float64)
    assert torch.equal(levels_of(each, y, torch.float32), each.float())


def test_memory_errors_without_a_class_of_their_own():
    assert out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert not out_of_memory(RuntimeError("CUDNN_STATUS_BAD_PARAM"))


@pytest.mark.parametrize("name", defenses())
def test_purifiers(name):
    x, noise = default_images(3), Noise(0, torch.arange(3))
    model, y = view(defense(name)), torch.zeros(3, dtype=torch.long)
    with OnNoDevice():
        model.sample(x, noise.spread(2 if model.stochastic else 1))
        if model.mode is GradientMode.FULL:
            model.differentiate(x, y, noise, lambda logits, y: logits.logsumexp(dim=1))


@pytest.mark.parametrize("name", attacks())
def test_attacks(name):
    target, arguments, entry = built(name, "attacks")
    arguments |= QUICK[entry.target.partition(":")[0]]
    known = 2 if entry.knowledge == "known" else 0
    model = view(defense("denoise-once"), GradientMode(entry.gradient), known)
    x, noise = default_images(3), Noise(0, torch.arange(3), "attack")
    y = fashion_mnist_classifier()(x).argmax(dim=1)
    norms = ["l2:0.5"] if name == "cw" else ["linf:8/255", "l2:0.5"]
    for threat in norms:
        with OnNoDevice():
            target(model, x, y, ThreatModel.parse(threat), noise, **arguments)
