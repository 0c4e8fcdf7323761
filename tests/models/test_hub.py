"""Score models in the format of diffusers: saved by it, read as denoisers, attacked with exact gradients in constant memory."""

import hashlib
import json
import shutil
import threading
import weakref
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from refused import refused

from bench.claims.checks import gradient_error, interior
from bench.cli.main import main
from bench.defended import DefendedClassifier
from bench.losses import carlini_wagner
from bench.models.hub import hub_score_model, save_score_model, unet
from bench.noise import Noise
from defenses.diffusion.diffpure import DiffPure
from defenses.dpsam import DPSAM

diffusers = pytest.importorskip("diffusers")

SMALL = {
    "sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": (8, 16), "layers_per_block": 1,
    "norm_num_groups": 4, "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip
X = torch.linspace(0, 1, 2 * 64).view(2, 1, 8, 8)
NOISE = Noise(0, torch.arange(2))


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def saved(folder, *, flat=False, scheduler=None, **config):
    """A small model with random weights, as diffusers itself saves its pipeline (or both parts in one folder, as early ones were)."""
    network = diffusers.UNet2DModel(**{**SMALL, **config})
    with torch.no_grad():
        network.conv_out.weight.mul_(5)
    parts = diffusers.DDPMPipeline(unet=network, scheduler=scheduler or diffusers.DDPMScheduler())
    if flat:
        parts.unet.save_pretrained(folder)
        parts.scheduler.save_pretrained(folder)
    else:
        parts.save_pretrained(folder)
    return network.eval()


@pytest.mark.parametrize("flat", [False, True])
def test_a_saved_model_denoises_as_its_scheduler_predicts_the_clean_image(tmp_path, flat):
    """Another implementation: diffusers' own estimate of x_0 in a step of its scheduler, without clipping."""
    scheduler = diffusers.DDPMScheduler(clip_sample=False)
    network = saved(tmp_path, flat=flat, scheduler=scheduler)
    score = hub_score_model(place=str(tmp_path))
    for time in (0, 40, 250, 700):
        kept = scheduler.alphas_cumprod[time].double()
        sigma = float(((1 - kept) / kept).sqrt()) / 2
        x_t = kept.sqrt().float() * (2 * X - 1)
        said = network(x_t, time).sample
        clean = scheduler.step(said, time, x_t).pred_original_sample
        torch.testing.assert_close(score.denoise(X, sigma), (clean + 1) / 2, rtol=1e-4, atol=2e-5 * max(1, sigma))


@pytest.mark.parametrize(
    "options",
    [
        {"beta_schedule": "squaredcos_cap_v2"},
        {"beta_schedule": "scaled_linear", "prediction_type": "v_prediction"},
        {"num_train_timesteps": 200, "prediction_type": "sample"},
    ],
)
def test_betas_and_prediction_are_the_schedulers(tmp_path, options):
    scheduler = diffusers.DDPMScheduler(clip_sample=False, **options)
    network = saved(tmp_path, scheduler=scheduler)
    kept = scheduler.alphas_cumprod[100].double()
    x_t = kept.sqrt().float() * (2 * X - 1)
    clean = scheduler.step(network(x_t, 100).sample, 100, x_t).pred_original_sample
    sigma = float(((1 - kept) / kept).sqrt()) / 2
    found = hub_score_model(place=str(tmp_path)).denoise(X, sigma)
    torch.testing.assert_close(found, (clean + 1) / 2, rtol=1e-3, atol=1e-4)


def test_what_is_trained_here_is_read_by_diffusers_own_pipeline(tmp_path):
    model = unet(**SMALL).eval().requires_grad_(False)
    card = {
        "recipe": {"architecture": "diffusers-unet", "arguments": {}}, "dataset": "", "trained_on": 1, "image_shape": [1, 8, 8],
        "curve": [1.0], "figures": {},
    }  # fmt: skip
    assert save_score_model(model, tmp_path, card) == tmp_path
    pipeline = diffusers.DDPMPipeline.from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(pipeline.unet.parameters(), model.network.parameters(), strict=True))
    torch.testing.assert_close(pipeline.scheduler.betas, torch.linspace(1e-4, 2e-2, 1000))
    again = hub_score_model(place=str(tmp_path))
    torch.testing.assert_close(again.denoise(X, 0.3), model.denoise(X, 0.3))
    assert json.loads((tmp_path / "model.json").read_text())["parameters"] == sum(p.numel() for p in model.parameters())
    with pytest.raises(TypeError, match="expected a VariancePreservingDenoiser, got Linear"):
        save_score_model(torch.nn.Linear(1, 1), tmp_path, card)


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    folder = tmp_path_factory.mktemp("score")
    saved(folder)
    return hub_score_model(place=str(folder))


def defended(score, **options):
    classifier = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3)).to(score.levels.dtype)
    return DefendedClassifier(classifier.requires_grad_(False), DPSAM(score=score, **options), chunk=2)


def test_the_full_gradient_passes_the_finite_difference_check(tmp_path):
    saved(tmp_path)
    model = defended(hub_score_model(place=str(tmp_path)).double(), steps=2, bank=2)
    assert gradient_error(model, interior(X, NOISE), NOISE) < 1e-6


def peak(model):
    """Bytes of tensors that autograd holds at the same time, at most, in one full gradient."""
    held, most = [0], [0]

    class Kept:
        def __init__(self, tensor):
            self.tensor, size = tensor, tensor.numel() * tensor.element_size()
            held[0] += size
            most[0] = max(most[0], held[0])
            weakref.finalize(self, lambda: held.__setitem__(0, held[0] - size))

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        model.differentiate(X, torch.zeros(2, dtype=torch.long), NOISE, carlini_wagner)
    return most[0]


def test_the_memory_of_dpsam_does_not_grow_with_its_steps(score):
    few, many = (peak(defended(score, steps=steps, bank=2)) - steps * X.numel() * 4 for steps in (2, 8))
    assert few > 1e5
    assert many < 1.1 * few


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda f: (f / "unet" / "config.json").unlink(), "hub-file-missing"),
        (lambda f: (f / "unet" / "config.json").write_text("{"), "hub-file-missing"),
        (lambda f: (f / "unet" / "config.json").write_text("[]"), "hub-config-damaged"),
        (lambda f: shutil.rmtree(f / "scheduler"), "hub-file-missing"),
        (lambda f: weights(f).unlink(), "hub-model-damaged"),
        (lambda f: weights(f).write_bytes(weights(f).read_bytes()[:999]), "hub-model-damaged"),
        (lambda f: change(f, _class_name="AutoencoderKL"), "hub-model-kind"),
        (lambda f: change(f, num_class_embeds=10), "hub-model-conditional"),
        (lambda f: change(f, time_embedding_type="fourier"), "hub-model-time"),
        (lambda f: change(f, time_embedding_type="learned"), "hub-model-time"),
        (lambda f: change(f, out_channels=3), "hub-model-channels"),
        (lambda f: schedule(f, _class_name="ScoreSdeVeScheduler"), "hub-model-time"),
        (lambda f: schedule(f, _class_name="CMStochasticIterativeScheduler"), "scheduler-unknown"),
        (lambda f: schedule(f, _class_name="LCMScheduler"), "scheduler-unknown"),
        (lambda f: schedule(f, prediction_type="noise"), "vp-prediction"),
        (lambda f: schedule(f, beta_schedule="odd"), "hub-model-damaged"),
        (lambda f: (f / "model_index.json").write_text('{"vqvae": ["diffusers", "VQModel"]}'), "hub-model-latent"),
    ],
)  # fmt: skip
def test_folders_that_hold_something_else(tmp_path, damage, code):
    saved(tmp_path)
    damage(tmp_path)
    with refused(code):
        hub_score_model(place=str(tmp_path))


def weights(folder):
    return folder / "unet" / "diffusion_pytorch_model.safetensors"


def change(folder, **changes):
    edit(folder / "unet" / "config.json", changes)


def schedule(folder, **changes):
    edit(folder / "scheduler" / "scheduler_config.json", changes)


def edit(file, changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("name", "config", "kind"),
    [
        ("EDMEulerScheduler", {}, "ElucidatedDenoiser"), ("EDMDPMSolverMultistepScheduler", {}, "ElucidatedDenoiser"),
        ("FlowMatchEulerDiscreteScheduler", {}, "FlowDenoiser"), ("EulerDiscreteScheduler", {}, "VariancePreservingDenoiser"),
        ("ScoreSdeVeScheduler", {"time_embedding_type": "fourier"}, "VarianceExplodingDenoiser"),
        ("DDPMScheduler", {"out_channels": 2}, "VariancePreservingDenoiser"),
    ],
)  # fmt: skip
def test_a_saved_model_is_read_under_the_convention_of_its_scheduler(tmp_path, name, config, kind):
    saved(tmp_path, scheduler=getattr(diffusers, name)(), **config)
    score = hub_score_model(place=str(tmp_path))
    assert type(score).__name__ == kind
    for sigma in (0.05, 0.3, 0.5):
        denoised = score.denoise(X, sigma)
        assert denoised.shape == X.shape
        assert torch.isfinite(denoised).all()


def test_a_model_of_any_size_says_none(tmp_path):
    saved(tmp_path, sample_size=None)
    assert hub_score_model(place=str(tmp_path)).image_shape is None


def test_without_diffusers_one_sentence_says_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    assert main(["run", "--score-model", "diffusers:some/where", "--defense", "tweedie"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.endswith('; pip install "purebench[hub]" [package-missing]\n')


def test_images_of_another_size_are_refused_before_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    saved("small")
    assert main(["run", "--score-model", "diffusers:small", "--defense", "tweedie", "-n", "2"]) == 2
    err = capsys.readouterr().err
    assert "(1, 8, 8), which diffusers:small" in err
    assert err.endswith("[component-image-shape]\n")


class HubHandler(BaseHTTPRequestHandler):
    """As much of the hub as its client asks for: what a repository holds, heads of files, and the files, cut if `limit` says so."""

    commit = "0123456789abcdef0123456789abcdef01234567"

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        root = self.server.folder
        if self.path.startswith("/api/models/"):
            files = [str(file.relative_to(root)) for file in sorted(root.rglob("*")) if file.is_file()]
            if "/tree/" in self.path:
                return self.send(
                    [
                        {"type": "file", "path": name, "oid": name, "size": (root / name).stat().st_size}
                        for name in files
                    ]
                )
            return self.send(
                {"id": "team/model", "sha": self.commit, "siblings": [{"rfilename": name} for name in files]}
            )
        file = root / self.path.partition(f"/resolve/{self.commit}/")[2]
        content = file.read_bytes()
        wanted = self.headers.get("Range") or ""
        start = int(wanted[6:].partition("-")[0]) if wanted.startswith("bytes=") else 0
        self.server.asked.append((file.name, start, body))
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", self.commit)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if body:
            self.wfile.write(content[start:][: self.server.limit])
        return None

    def send(self, document):
        text = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A stand-in for the hub, which its client is pointed at; the client's cache is an empty folder."""
    from huggingface_hub import constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), HubHandler)
    server.folder, server.limit, server.asked = tmp_path / "repository", None, []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()


def test_a_repository_of_the_hub_is_downloaded_by_its_own_client(hub):
    """A download that breaks off is one sentence, the same call goes on, and later ones need no network."""
    saved(hub.folder)
    hub.limit = 20_000
    with refused("hub-download"):
        hub_score_model(place="team/model")
    before, hub.limit = len(hub.asked), None
    found = hub_score_model(place="team/model")
    assert {name for name, _, body in hub.asked[before:] if body} == {weights(hub.folder).name}
    torch.testing.assert_close(found.denoise(X, 0.3), hub_score_model(place=str(hub.folder)).denoise(X, 0.3))
    hub.shutdown()
    hub.server_close()
    assert hub_score_model(place="team/model").image_shape == (1, 8, 8)


def test_a_repository_with_older_weights_is_read_without_unpickling_more_than_tensors(hub):
    network = saved(hub.folder)
    weights(hub.folder).unlink()
    torch.save(network.state_dict(), weights(hub.folder).with_suffix(".bin"))
    found = hub_score_model(place="team/model")
    torch.testing.assert_close(found.network.conv_in.weight, network.conv_in.weight)


def test_a_repository_that_does_not_exist(hub):
    with refused("hub-download"):
        hub_score_model(place="some where")


CIFAR = {
    "sample_size": 32, "in_channels": 3, "out_channels": 3, "block_out_channels": (128, 256, 256, 256), "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"), "attention_head_dim": None,
    "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1, "norm_eps": 1e-6,
}  # fmt: skip
"""The configuration of google/ddpm-cifar10-32."""


@pytest.mark.slow
@pytest.mark.parametrize("purifier", ["dpsam", "diffpure"])
def test_one_step_through_a_model_of_full_size(purifier):
    """35.7 million parameters: a full gradient of one image exists, is finite, and fits in 24 GiB."""
    import resource

    score = unet(**CIFAR).eval().requires_grad_(False)
    assert sum(p.numel() for p in score.network.parameters()) == 35_746_307
    x, noise = torch.full((1, 3, 32, 32), 0.5), Noise(0, torch.arange(1))
    classifier = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10)).requires_grad_(False)
    defense = DPSAM(score=score, steps=1, bank=2) if purifier == "dpsam" else DiffPure(score=score, steps=1)
    model = DefendedClassifier(classifier, defense, chunk=1)
    _, _, slope = model.differentiate(x, torch.zeros(1, dtype=torch.long), noise, carlini_wagner)
    assert torch.isfinite(slope).all()
    assert slope.abs().max() > 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 24 * 2**20
