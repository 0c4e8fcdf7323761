"""Classifiers of any kind work, or are told apart by what was measured of them."""

import json
import re
import shlex
from collections import OrderedDict, namedtuple
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from refused import refused
from torch import nn

from bench.cli.main import main
from bench.errors import NoGradientError
from bench.models.adapter import Adapter, adapted
from bench.models.contained import networks_behind
from bench.models.inspection import advice_on, inspect_classifier
from bench.passes import has_gradients
from bench.records.record import read_record

X = torch.linspace(0.1, 0.9, 4 * 3 * 8 * 8).view(4, 3, 8, 8)


def linear(classes=3):
    network = nn.Linear(192, classes, bias=False).eval().requires_grad_(False)
    network.weight.copy_(torch.linspace(-1, 1, classes * 192).sin().view(classes, 192) / 8)
    return network


class Net(nn.Module):
    """A linear classifier, with something done to its images and to its logits."""

    def __init__(self, after=lambda z: z, before=lambda x: x):
        super().__init__()
        self.linear, self.after, self.before = linear(), after, before
        self.eval()

    def forward(self, x):
        return self.after(self.linear(self.before(x).flatten(1)))


LOGITS = Net()(X)
Named = namedtuple("Named", "features logits")


class Lazily:
    """Logits behind a property, as some output classes have them."""

    def __init__(self, z):
        self._z = z

    @property
    def logits(self):
        return self._z


# What the classifier returns


@pytest.mark.parametrize(
    "after",
    [
        lambda z: SimpleNamespace(loss=None, logits=z, hidden=z * 2),
        lambda z: {"logits": z, "aux": z * 2},
        lambda z: OrderedDict(out=z),
        lambda z: (z, torch.zeros(len(z), 512)),
        lambda z: [torch.zeros(len(z), 7, 7), z],
        lambda z: Named(z * 2, z),
        lambda z: (z,),
        lambda z: Lazily(z),
        lambda z: (None, z, {"attention": z}),
    ],
)
def test_the_logits_are_found_in_what_is_returned_around_them(after):
    network = adapted(Net(after), X[:2], 3, "it")
    assert torch.equal(network(X), LOGITS)
    assert has_gradients(network)


@pytest.mark.parametrize(
    ("after", "got"),
    [
        (lambda z: (z, z * 2), r"a tuple with 0: \(2, 3\), 1: \(2, 3\)"),
        (lambda z: {"main": z, "aux": z}, r"a dict with main: \(2, 3\), aux: \(2, 3\)"),
        (lambda z: (z[:, :2], z[:, :1]), r"a tuple with 0: \(2, 2\), 1: \(2, 1\)"),
        (lambda z: None, "a NoneType with no tensors"),
        (lambda z: {"features": z[:, :, None, None]}, r"a dict with features: \(2, 3, 1, 1\)"),
    ],
)
def test_where_any_could_be_the_logits_none_is_taken(after, got):
    with refused("classifier-output", match=got):
        adapted(Net(after), X[:2], 3, "it")


def test_a_network_in_order_is_left_as_it_is():
    network = Net()
    assert adapted(network, X[:2], 3, "it") is network


# Gradients


@torch.inference_mode()
def inferred(x):
    return linear()(x.flatten(1))


GRADIENTLESS = {
    "no_grad": Net(before=torch.no_grad()(lambda x: x.detach())),
    "inference mode": inferred,
    "NumPy in between": Net(before=lambda x: torch.from_numpy(x.detach().numpy())),
    "NumPy out": lambda x: linear()(x.flatten(1)).detach().numpy(),
    "a list of arrays, as sessions return": lambda x: [linear()(x.flatten(1)).detach().double().numpy()],
    "graph to its weights alone": lambda x: (
        nn.Linear(192, 3)(x.detach().flatten(1)) * 0 + linear()(x.detach().flatten(1))
    ),
}


@pytest.mark.parametrize("name", GRADIENTLESS)
def test_networks_without_gradients_are_known_and_work(name):
    network = adapted(GRADIENTLESS[name], X[:2], 3, "it")
    assert not has_gradients(network)
    logits = network(X)
    torch.testing.assert_close(logits.float(), LOGITS)
    logits.add_(1)  # which tensors of inference mode do not allow
    inspect_classifier(network, X, "it")


def test_a_plain_callable_brings_its_networks():
    inner = linear()
    free = {"inner": inner}
    exec("def named(x): return inner(x.flatten(1))", free)
    holder = SimpleNamespace(parts=[inner])
    for function in (lambda x: inner(x.flatten(1)), free["named"]):
        assert networks_behind(function) == [inner]
        assert has_gradients(network := adapted(function, X[:2], 3, "it"))
        assert (network.state[0], len(list(network.modules()))) == (inner, 3)
    assert networks_behind(holder) == [inner]
    assert Adapter(lambda x: x, key=None, differentiable=True).state is None


# Precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_logits_come_in_the_precision_of_the_images(dtype):
    from bench.passes import CountedClassifier, Tally

    logits = CountedClassifier(Net(lambda z: z.to(dtype)), Tally())(X)
    assert logits.dtype is torch.float32
    torch.testing.assert_close(logits, LOGITS, rtol=0.01, atol=0.01)


def test_half_precision_is_not_taken_for_a_dependence_on_neighbours():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3)).eval()
    coarse = Net()
    coarse.linear, coarse.before = network.to(torch.bfloat16), lambda x: x.to(torch.bfloat16)
    coarse.forward = lambda x: network(x.to(torch.bfloat16)).float()
    inspect_classifier(coarse, X, "it")


# What is measured of a classifier, and what is said of it


class Counting(Net):
    """Keeps a state between calls."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * self.calls


def scaled(x):
    return x / x.abs().max()


FAULTS = {
    "functional dropout": (Net(before=lambda x: F.dropout(x, 0.2)), "classifier-not-repeatable", "draws from the random generators of torch"),
    "Gaussian noise": (Net(before=lambda x: x + 0.1 * torch.randn_like(x)), "classifier-not-repeatable", "draws from the random generators of torch"),  # noqa: TID251
    "NumPy's noise": (Net(before=lambda x: x + float(np.random.default_rng().normal())), "classifier-not-repeatable", "draws random numbers or keeps a state"),  # noqa: TID251
    "a count": (Counting(), "classifier-not-repeatable", "draws random numbers or keeps a state"),
    "in place": (Net(before=lambda x: x.sub_(0.1).div_(0.9)), "classifier-writes-input", "changed by up to 1.0e-01"),
    "in place, past autograd": (Net(before=lambda x: (x.data.mul_(0.5), x)[1]), "classifier-writes-input", "changed by up to 4.5e-01"),
    "in place, to no effect": (nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), linear()).eval(), "classifier-writes-input", "changed by up to 0.0e+00"),
    "an index": (Net(before=lambda x: (x[:, 0].zero_(), x)[1]), "classifier-writes-input", "changed by up to"),
    "batch statistics": (Net(before=nn.BatchNorm2d(3, track_running_stats=False).eval()), "classifier-mixes-images", "keep running statistics (before has none)"),
    "mean of the batch": (Net(before=lambda x: x - x.mean(dim=0, keepdim=True)), "classifier-mixes-images", "never over the batch"),
    "largest of the batch": (Net(before=scaled), "classifier-mixes-images", "never over the batch"),
    "its place in the batch": (Net(lambda z: z * torch.arange(1.0, len(z) + 1)[:, None]), "classifier-mixes-images", "in a batch than alone"),
    "size of the batch": (Net(lambda z: z / len(z)), "classifier-batch-size", "depend on the size of the batch"),
    "squeezed": (Net(lambda z: z.squeeze()), "classifier-squeezes-batch", "expected logits (1, 3) from it for one image, got (3,)"),
    "batches of four": (Net(before=lambda x: x.view(4, 3, 8, 8)), "foreign-code-failed", "to take one image as it takes 4, got RuntimeError"),
    "probabilities": (Net(lambda z: z.softmax(dim=1)), "classifier-probabilities", "got probabilities"),
    "train mode": (nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).train(), "classifier-train-mode", "got 3 modules in train mode"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_own_error(name):
    network, code, words = FAULTS[name]
    images = X.clone()
    with refused(code, match=re.escape(words)):
        inspect_classifier(network, images, "it")
    assert torch.equal(images, X)


@pytest.mark.parametrize(
    ("network", "advice"),
    [
        (Net(before=lambda x: x.view(8, 3, 8, 8)), "it takes batches of 8: "),
        (Net(before=lambda x: x.view(1, 3, 8, 8)), "it takes batches of 1: "),
        (nn.Sequential(nn.Flatten(), linear().half()), "its weights are float16: call .float() on it"),
        (nn.Sequential(nn.Flatten(), linear().double()), "its weights are float64: call .float() on it"),
        (nn.Conv2d(1, 3, 8), "choose another --classifier"),
    ],
)
def test_advice_on_a_classifier_that_fails(network, advice):
    assert advice_on(network, X).startswith(advice)


# In a run

PARTS = """
import os
import torch
from torch import nn
from bench.models.weights import build

torch.default_generator.manual_seed(0)
NETWORK = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval()

class Around(nn.Module):
    def __init__(self, f=lambda z: z):
        super().__init__()
        self.network, self.f = NETWORK, f
    def forward(self, x): return self.f(self.network(x))

def plain(): return Around()
def half(): return Around(lambda z: z.half())
def dictionary(): return Around(lambda z: {"logits": z})
def scripted(): return torch.jit.trace(Around(), torch.zeros(2, 3, 8, 8))
def quantised():
    torch.backends.quantized.engine = "onednn" if "onednn" in torch.backends.quantized.supported_engines else torch.backends.quantized.supported_engines[-1]
    q = torch.ao.quantization
    network = nn.Sequential(q.QuantStub(), nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3), q.DeQuantStub()).eval()
    network.qconfig = q.get_default_qconfig(torch.backends.quantized.engine)
    q.prepare(network, inplace=True)(torch.linspace(0, 1, 384).view(2, 3, 8, 8))
    return q.convert(network)
def session(): return lambda x: [NETWORK(x).detach().numpy()]
def twice(): return Around(lambda z: (z, z * 2))
def kind(): return Around
def state(): return NETWORK.state_dict()
def lazy(): return nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
def lazy_buffer(): return nn.Sequential(nn.LazyBatchNorm2d(), nn.Flatten(), nn.Linear(192, 3))
def meta(): return nn.Sequential(nn.Flatten(), nn.Linear(192, 3, device="meta"))

class LazyDefense(nn.Module):
    deterministic = True
    def __init__(self):
        super().__init__()
        self.layer = nn.LazyConv2d(3, 1)
    def purify(self, x, noise): return x

class LazyScore(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.LazyConv2d(3, 1)
    def denoise(self, y, sigma): return y
"""


@pytest.fixture
def bench(tmp_path, monkeypatch, forget_files, capsys):
    """Runs `bench run` on a data set of its own and gives the exit code and what it says on stderr."""
    monkeypatch.chdir(tmp_path)
    forget_files()
    Path("parts.py").write_text(PARTS)
    images = np.arange(6 * 3 * 64, dtype=np.int64).astype(np.uint8).reshape(6, 3, 8, 8)
    np.savez("own.npz", images=images, labels=np.arange(6) % 3)

    def run(words):
        options = "run --quiet --dataset npz:own.npz --threat linf:8/255 --defense none --attack null -n 6"
        code = main(shlex.split(f"{options} {words}"))
        return code, capsys.readouterr().err

    return run


def checks():
    (path,) = Path("results").glob("*/*/*")
    return read_record(path).header.document["checks"]


@pytest.mark.parametrize("name", ["half", "dictionary", "scripted"])
@pytest.mark.parametrize("attack", ["pgd-full", "apgd-ce", "square -A queries=5"])
def test_half_precision_and_dictionaries_run_under_any_attack(bench, name, attack):
    assert bench(f"--classifier parts.py:{name} --attack {attack}") == (0, "")
    claims = {claim["check"]: claim for claim in checks()["claims"]}
    assert claims["precision"]["value"] == (["float16"] if name == "half" else [])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["session", "quantised"])
@pytest.mark.parametrize("attack", ["null", "random", "square -A queries=5"])
def test_attacks_on_scores_run_without_gradients(bench, name, attack):
    assert bench(f"--classifier parts.py:{name} --attack {attack}") == (0, "")
    assert checks()["differentiable"] is False
    assert not {"gradient", "zero gradients"} & {claim["check"] for claim in checks()["claims"]}


@pytest.mark.parametrize("attack", ["pgd-full", "pgd-bpda", "pgd-blind"])
def test_attacks_by_gradients_name_the_classifier_and_the_attacks_that_work(bench, attack):
    code, said = bench(f"--classifier parts.py:session --attack {attack}")
    assert code == NoGradientError.exit_code == 2
    for words in ("--attack square", "--attack null", "--attack random", "[classifier-gradients-missing]"):
        assert words in said
    assert not list(Path().glob("results/*/*/*"))


def test_an_attack_by_another_networks_gradients_needs_none(bench):
    assert bench("--classifier parts.py:session --attack transfer:parts.py:plain -A steps=2 --dry-run") == (0, "")
    assert bench("--classifier parts.py:session --attack transfer:parts.py:plain -A steps=2") == (0, "")


@pytest.mark.parametrize(
    ("words", "code", "got"),
    [
        ("--classifier parts.py:twice", "classifier-output", "a tuple with 0: (2, 3), 1: (2, 3)"),
        ("--classifier parts.py:NETWORK", "component-kind", "got Sequential"),
        ("--classifier parts.py:kind", "classifier-type", "got type; correct the factory"),
        ("--classifier parts.py:state", "classifier-type", "got OrderedDict; build the network in it"),
        ("--classifier parts.py:lazy", "component-weights-missing", "1.weight"),
        ("--classifier parts.py:lazy_buffer", "component-weights-missing", "0."),
        ("--classifier parts.py:meta", "component-weights-missing", "1.weight"),
        ("--classifier parts.py:plain --defense parts.py:LazyDefense", "component-weights-missing", "parts.py:LazyDefense"),
        ("--classifier parts.py:plain --defense tweedie --score-model parts.py:LazyScore", "component-weights-missing", "parts.py:LazyScore"),
        ("--classifier weights:foreign.pth", "weights-card-missing", "foreign.pth without one"),
        ("--classifier weights:foreign.safetensors", "weights-card-missing", "foreign.json"),
        ("--classifier weights:absent.pth", "weights-unreadable", "absent.pth, got: No such file"),
        ("--classifier weights:away/absent.safetensors", "weights-unreadable", "away/absent.safetensors"),
        ("--classifier parts.py:plain --defense tweedie --score-model weights:absent.pth", "weights-unreadable", "absent.pth"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_classifier_says_why(bench, words, code, got):
    for name in ("foreign.pth", "foreign.safetensors"):
        torch.save(linear().state_dict(), name)
    ended, said = bench(words)
    assert (ended, said.count("\n")) == (2, 1)
    assert got in said
    assert f"[{code}]" in said


def test_an_audit_skips_what_needs_gradients(bench, capsys):
    bench("--classifier parts.py:session --attack square -A queries=5")
    (path,) = Path("results").glob("*/*/*")
    assert (
        main(shlex.split(f"audit {path} --quick -n 2 --allow-code --json --only flags --only radius --only leak")) == 0
    )
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)["checks"]}
    for name in ("flags", "radius"):
        assert (findings[name]["verdict"], findings[name]["meaning"]) == ("skipped", "the classifier has no gradients")
    assert findings["leak"]["verdict"] == "pass"
