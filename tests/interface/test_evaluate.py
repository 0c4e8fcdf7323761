"""`bench.evaluate` of objects: the numbers of `bench run`, on a record that the same call returns."""

import functools
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from notebook import Blur, Claimed, Jitter, classifier, images_and_labels

import bench
from bench.cli.main import main

ROOT = Path(__file__).parent.parent.parent
PURIFIER = """
import torch

class Blur:
    deterministic = True

    def __init__(self, steps: int = 1):
        self.steps = steps

    def purify(self, x, noise):
        for _ in range(self.steps):
            x = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
        return x
"""
QUICK = {"threat": "linf:8/255", "attack_args": {"steps": 2}}


@pytest.fixture
def evaluate(tmp_path):
    """`bench.evaluate` on 12 images in a few steps."""

    def call(defense, **changes):
        parts = {"classifier": classifier(), "data": images_and_labels(12), "results": tmp_path, **QUICK}
        return bench.evaluate(defense, **(parts | changes))

    return call


def test_import_is_quick_and_without_torch():
    code = (
        "import sys, time; t = time.perf_counter(); import bench; t = time.perf_counter() - t; "
        "dir(bench); sys.exit('torch' in sys.modules or t > 0.1)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_function_stays_a_function_after_an_import_of_the_package_of_its_name():
    import bench.audit.session
    import bench.compare.compare

    assert all(callable(getattr(bench, name)) for name in dir(bench) if name != "__version__")
    with pytest.raises(AttributeError, match="evaluate"):
        bench.evaluat  # noqa: B018


def test_the_number_is_that_of_the_command_line_for_the_same_purifier_in_a_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "blur.py").write_text(PURIFIER)
    monkeypatch.chdir(tmp_path)
    words = "run --defense blur.py:Blur -D steps=2 -A steps=2 --threat linf:8/255 -n 12 --quiet --json"
    assert main(words.split()) == 0
    told = json.loads(capsys.readouterr().out)
    found = bench.evaluate(Blur(steps=2), n=12, **QUICK)
    assert found.robust.as_dict() == told["robust_accuracy"]
    assert found.clean.as_dict() == told["clean_accuracy"]
    theirs = [json.loads(line) for line in (Path(told["path"]) / "samples.jsonl").read_text().splitlines()]
    assert found.samples.margin.tolist() == [
        min(line["margin"]) for line in sorted(theirs, key=lambda line: line["id"])
    ]


def test_the_same_call_returns_at_once_and_changed_code_state_or_data_is_another_run(evaluate):
    first = evaluate(Blur(steps=1))
    before = (first.path / "samples.jsonl").stat().st_mtime_ns
    started = time.perf_counter()
    assert evaluate(Blur(steps=1)).run_id == first.run_id
    assert time.perf_counter() - started < 2
    assert (first.path / "samples.jsonl").stat().st_mtime_ns == before
    images, labels = images_and_labels(12)
    others = [
        evaluate(Blur(steps=2)),
        evaluate(Claimed(steps=1)),
        evaluate(Blur(steps=1), data=(images * 0.9, labels)),
        evaluate(Blur(steps=1), classifier=torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10)).eval()),
    ]
    assert len({run.run_id for run in (first, *others)}) == 5


def test_result_has_estimates_rows_and_images_in_the_given_order(evaluate):
    images, labels = images_and_labels(12)
    turned = torch.arange(11, -1, -1)
    found = evaluate(Blur(), data=(images[turned], labels[turned]))
    assert found.samples.label.tolist() == labels[turned].tolist()
    assert found.samples.index.tolist() == list(range(12))
    far = (found.adversarial - images[turned]).abs().amax(dim=(1, 2, 3))
    assert float(far.max()) <= 8 / 255 + 1e-6
    assert np.allclose(far, found.samples.distance, atol=1e-6)
    assert found.robust.value == found.samples.robust.mean()
    assert found.robust.low <= found.robust.value <= found.clean.value
    assert found.robust.n == found.n == 12
    runs, samples = bench.load_results(found.path.parents[2])
    assert runs.robust.tolist() == [found.robust.value]
    assert len(samples) == 12


def test_objects_are_given_back_as_they_were(evaluate):
    network = classifier()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    evaluate(Blur(), classifier=network)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("form", "draws"),
    [
        (lambda x: torch.nn.functional.avg_pool2d(x, 3, 1, 1), 1),
        (functools.partial(torch.nn.functional.avg_pool2d, kernel_size=3, stride=1, padding=1), 1),
        (torch.nn.AvgPool2d(3, 1, 1).eval(), 1),
        (Blur(), 1),
        (Claimed(), 1),
        (Claimed, 1),
        (lambda: Blur(), 1),
        (lambda x, noise: torch.nn.functional.avg_pool2d(x, 3, 1, 1), 1),
        (Jitter(0.05), 10),
    ],
)
def test_every_form_of_a_purifier(evaluate, form, draws):
    found = evaluate(form, n=4)
    assert found.spec["draws"] == draws
    assert found.header.checks.deterministic == (draws == 1)
    if draws == 1:
        assert found.samples.margin.tolist() == evaluate(Blur(), n=4).samples.margin.tolist()


def test_names_and_objects_mix(evaluate, tmp_path):
    named = bench.evaluate("bit-depth", n=2, results=tmp_path, defense_args={"bits": 3}, attack="pgd-bpda", **QUICK)
    assert named.spec["defense"] == {"name": "bit-depth", "args": {"bits": 3}, "sha256": None, "gradient": None}
    bare = evaluate(None, n=4)
    assert bare.spec["defense"]["name"] == "none"


def test_draws_of_a_function_are_keyed(evaluate):
    chance = np.random.Generator(np.random.PCG64(1))
    torch_drawn = evaluate(lambda x: (x + 0.1 * torch.randn(x.shape)).clamp(0, 1), n=4)
    function = lambda x: (x + 0.1 * float(chance.normal())).clamp(0, 1)  # noqa: E731
    numpy_drawn = evaluate(function, n=4)
    assert evaluate(function, n=4).record == numpy_drawn.record  # the generator is as it was
    assert (torch_drawn.spec["keyed"], torch_drawn.spec["draws"]) == ("operations", 10)
    assert (numpy_drawn.spec["keyed"], numpy_drawn.header.checks.deterministic) == ("image by image", False)


def test_purifier_with_a_score_model_is_the_named_one_with_that_model(evaluate):
    """The score model in the purifier's attribute is recorded apart, its passes are counted, and the margins are those by name."""
    from bench.models.embedded import fashion_mnist_score_model
    from defenses.tweedie import Tweedie

    own = evaluate(Tweedie(score=fashion_mnist_score_model(), sigma=0.2), n=2)
    named = evaluate("tweedie", defense_args={"sigma": 0.2}, score_model="fashion-mnist-unet", n=2)
    assert own.spec["score_model"]["name"].startswith("python:")
    assert own.samples.margin.tolist() == named.samples.margin.tolist()
    assert own.samples.score_forward.tolist() == named.samples.score_forward.tolist()
    assert own.samples.score_forward.min() > 0


def test_gradient_of_a_purifier_with_networks_of_its_own_is_measured_in_double_precision(evaluate):
    found = evaluate(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Sigmoid()).eval(), n=2)
    claims = {claim.check: claim.verdict for claim in found.header.checks.claims}
    assert claims["gradient"] == "passed"
    assert found.header.checks.gradient_error < 1e-6
