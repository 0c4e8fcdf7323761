"""The first hour on a GPU, as one command: `pytest -m cuda`. Every test skips itself where there is none. NOT RUN on one so far."""

import json
from pathlib import Path

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from bench.cli.main import main
from bench.doctor.benchmark import SETTINGS, benchmark
from bench.keyed import MEANS, Keyed, taking_noise
from bench.keyed.generators import global_state, same_state
from bench.machine.device import pick_device
from bench.models.embedded import fashion_mnist_score_model
from bench.noise import Noise, philox
from bench.records.record import read_record
from bench.registry.tables import make_registry

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.fixture
def cuda():
    return pick_device("cuda")


def lines_of(results):
    (header,) = Path(results).rglob("run.json")
    return read_record(header.parent)


def bench_run(*words, results):
    assert main(["run", *words, "--results", str(results), "--quiet"]) == 0


def test_auto_takes_cuda_and_switches_approximations_off():
    assert pick_device("auto").type == "cuda"
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark


def test_a_device_that_is_not_there_is_refused(capsys):
    assert main(["run", "--device", f"cuda:{torch.cuda.device_count()}", "--quiet"]) == 2
    assert "[device-unknown]" in capsys.readouterr().err


def test_matrix_products_are_full_float32(cuda):
    """TF32 keeps 10 bits of the mantissa: 1 + 2^-12 would be rounded to 1."""
    a = torch.full((64, 64), 1 + 2**-12, device=cuda)
    assert torch.equal(a @ torch.eye(64, device=cuda), a)


def test_published_vectors(cuda):
    counter = torch.tensor([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], device=cuda)[:, None]
    words = philox(counter, (0xA4093822, 0x299F31D0))[:, 0].tolist()
    assert words == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def test_integers_are_equal_on_cpu_and_gpu(cuda):
    ids = torch.arange(100, 140)
    for purpose in ("score", "attack", "bank"):
        here, there = Noise(7, ids, purpose, 3), Noise(7, ids.to(cuda), purpose, 3)
        assert torch.equal(here.words(28 * 28, step=2), there.words(28 * 28, step=2).cpu())
        like = torch.empty(40, 1, 28, 28)
        assert torch.equal(here.uniform(like), there.uniform(like.to(cuda)).cpu())
        difference = (here.normal(like) - there.normal(like.to(cuda)).cpu()).abs().max()
        assert float(difference) < 1e-5  # logarithm, root, sine and cosine are the device's own


def test_the_score_model_agrees_with_the_cpu(cuda):
    x = Noise(0, torch.arange(8)).uniform(torch.empty(8, 1, 28, 28))
    here = fashion_mnist_score_model().denoise(x, 0.3)
    there = fashion_mnist_score_model().to(cuda).denoise(x.to(cuda), 0.3).cpu()
    assert float((here - there).abs().max()) < 1e-4


def test_nothing_waits_inside_a_denoising_or_a_draw(cuda):
    """`set_sync_debug_mode("error")` raises at the first operation that makes the CPU wait."""
    model, noise = fashion_mnist_score_model().to(cuda), Noise(0, torch.arange(8, device=cuda))
    x = torch.zeros(8, 1, 28, 28, device=cuda)
    model.denoise(x, 0.3)
    torch.cuda.set_sync_debug_mode("error")
    try:
        model.denoise(x, 0.3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert noise.words(4).device.type == "cuda"


@pytest.mark.parametrize("defense", ["none", "dpsam", "diffpure-small", "median"])
def test_a_run_agrees_with_the_cpu(defense, tmp_path):
    """The same clean predictions where the margin is no matter of rounding; distances in the ball; the GPU in the lines."""
    words = ["--defense", defense, "--attack", "pgd-full", "-A", "steps=3", "-A", "eot=2", "-n", "20"]
    bench_run(*words, "--device", "cuda", results=tmp_path / "gpu")
    bench_run(*words, "--device", "cpu", results=tmp_path / "cpu")
    gpu, cpu = lines_of(tmp_path / "gpu"), lines_of(tmp_path / "cpu")
    differ = sum(a.clean != b.clean for a, b in zip(gpu.lines, cpu.lines, strict=True))
    assert differ <= 1
    (environment,) = gpu.header.environments.values()
    assert environment.device == "cuda"
    assert environment.tf32 is False
    assert gpu.run_id == cpu.run_id


@pytest.mark.parametrize("batch", ["7", "50"])
def test_twice_the_same(batch, tmp_path):
    words = [
        "--defense",
        "dpsam",
        "--attack",
        "pgd-full",
        "-A",
        "steps=3",
        "-n",
        "20",
        "--device",
        "cuda",
        "--batch-size",
        batch,
    ]
    for name in ("first", "second"):
        bench_run(*words, results=tmp_path / name)
    first, second = lines_of(tmp_path / "first").lines, lines_of(tmp_path / "second").lines
    assert [(line.clean, line.adversarial, line.margin) for line in first] == [
        (line.clean, line.adversarial, line.margin) for line in second
    ]


def test_a_record_of_the_cpu_is_not_continued(tmp_path, capsys):
    bench_run("--defense", "none", "-A", "steps=1", "-n", "2", "--device", "cpu", results=tmp_path)
    words = [
        "run",
        "--defense",
        "none",
        "-A",
        "steps=1",
        "-n",
        "4",
        "--results",
        str(tmp_path),
        "--quiet",
        "--device",
        "cuda",
    ]
    assert main(words) == 2
    assert "[record-environment]" in capsys.readouterr().err
    assert main([*words, "--mix-environments"]) == 0


def test_memory_is_flat_over_shards(tmp_path):
    bench_run("--defense", "dpsam", "-A", "steps=2", "-n", "120", "--device", "cuda", results=tmp_path)
    peaks = [line.memory for line in lines_of(tmp_path).lines]
    assert len(set(peaks)) >= 1
    assert max(peaks) <= 1.05 * min(peaks) + 8


def test_the_smoke_suite(tmp_path, capsys):
    assert main(["suite", "smoke", "--device", "cuda", "--results", str(tmp_path), "--quiet"]) == 0
    assert main(["suite", "smoke", "--device", "cuda", "--results", str(tmp_path), "--quiet", "--json"]) == 0
    text = capsys.readouterr().out
    assert all(cell["state"] in ("made", "done") for cell in json.loads(text[text.index("[\n") :]))


def test_two_workers_on_one_gpu(tmp_path):
    words = ["--defense", "tweedie", "-A", "steps=2", "-n", "100", "--device", "cuda:0,cuda:0"]
    bench_run(*words, results=tmp_path / "two")
    bench_run(*[*words[:-1], "cuda:0"], results=tmp_path / "one")
    two, one = lines_of(tmp_path / "two").lines, lines_of(tmp_path / "one").lines
    by_id = {line.id: line for line in one}
    assert all(by_id[line.id].adversarial == line.adversarial for line in two)


def test_the_benchmark_of_cifar10():
    document = benchmark(make_registry(), "cuda", SETTINGS[:1])
    assert "cuda" in document["device"]
    assert all(seconds > 0 for network in document["networks"] for seconds in network["seconds"].values())


def test_foreign_draws_are_keyed_there_too(cuda):
    class Draws:
        deterministic = False

        def purify(self, x):
            return checkpoint(lambda z: z * torch.rand(z.shape, dtype=z.dtype, device=z.device), x, use_reentrant=False)

    x = torch.linspace(0.1, 0.9, 256, dtype=torch.float64).view(4, 1, 8, 8)
    found = {}
    for device in ("cpu", cuda):
        here, noise = x.to(device), Noise(3, torch.arange(4, device=device))
        for means in MEANS:
            built, leaf = Keyed(taking_noise(Draws()), means), here.clone().requires_grad_()
            before = global_state()
            pure = built.purify(leaf, noise)
            (gradient,) = torch.autograd.grad(pure.sum(), leaf)
            assert same_state(before, global_state())
            assert torch.allclose(gradient * here, pure)
            assert torch.allclose(built.purify(here[2:3], noise[2:3]), pure[2:3])
            found[str(device), means] = pure.detach().cpu()
    assert torch.equal(found["cpu", "operations"], found[str(cuda), "operations"])
