"""Classifiers of others: RobustBench's by its own loader, torchvision's by its weights, the ResNet-18 of pyautoattack."""

import hashlib
import importlib.util
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from refused import refused
from torchvision.models import ResNet18_Weights, resnet18
from torchvision.models._api import Weights, WeightsEnum

import bench.models.networks.resnet18
from bench.cli.main import main
from bench.data.dataset import Dataset
from bench.models.networks.resnet18 import autoattack_resnet18
from bench.models.robustbench import _importable, robustbench
from bench.models.torchvision import torchvision
from bench.models.zoo import BOARDS, EPS, SUMMARIES
from bench.threat import ThreatModel

SMALL = "Sehwag2021Proxy_R18"
LINF = ThreatModel.parse("linf:8/255")


def data(name="cifar10", size=32):
    return Dataset(
        name=name, ids=np.arange(4), images=np.arange(4 * 3 * size**2, dtype=np.int64).astype(np.uint8).reshape(4, 3, size, size),
        labels=np.arange(4), classes=tuple(f"c{k}" for k in range(10)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def zoo():
    """RobustBench's own registry."""
    with _importable():
        from robustbench.model_zoo.models import model_dicts
    return {
        f"{dataset.value}/{threat.value}": models
        for dataset, threats in model_dicts.items()
        for threat, models in threats.items()
    }


@pytest.fixture
def placed(zoo, tmp_path):
    """Random weights of a model of the zoo as a checkpoint where RobustBench's loader looks for it; the network they are of."""

    def place(name=SMALL, board="cifar10/Linf", wrap=lambda state: state):
        network = zoo[board][name]["model"]()
        file = tmp_path / "robustbench" / board / f"{name}.pt"
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(wrap(network.state_dict()), file)
        return network.eval()

    return place


def test_the_listed_names_are_those_of_robustbench(zoo):
    assert {board: [*models] for board, models in zoo.items()} == BOARDS
    assert len(BOARDS["cifar10/Linf"]) == 76


def test_every_name_is_listed_on_the_command_line(capsys):
    assert main(["list", "classifiers", "--json"]) == 0
    names = {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert {f"robustbench:{name}" for name in BOARDS["cifar10/Linf"]} <= names
    assert {f"robustbench:{name}" for name in SUMMARIES} <= names
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    assert f"  and {len(SUMMARIES)} more by name: bench list classifiers" in text
    assert "robustbench:Carmon2019Unlabeled" not in text


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}}])
def test_a_model_is_built_by_robustbench_from_a_checkpoint_where_it_looks(placed, tmp_path, wrap):
    network = placed(wrap=wrap)
    loaded = robustbench(name=SMALL, data_dir=tmp_path, run_dataset=data(), threat=LINF)
    x = torch.from_numpy(data().floats(slice(None)))
    assert torch.equal(loaded(x), network(x))
    assert not loaded.training
    assert (loaded.image_shape, loaded.provenance) == ((3, 32, 32), "")
    assert not {"autoattack", "autoattack.state"} & set(sys.modules)


@pytest.mark.parametrize(
    ("name", "dataset", "threat", "board", "remark"),
    [
        ("Rice2020Overfitting", "cifar10", "linf:8/255", "cifar10/Linf", ""),
        ("Rice2020Overfitting", "cifar10", "l2:0.5", "cifar10/L2", ""),
        ("Rice2020Overfitting", "cifar100", "l2:0.5", "cifar100/Linf", "was made for linf:8/255 (cifar100/Linf), not for l2:0.5"),
        ("cifar10/L2/Rice2020Overfitting", "npz-own", "linf:8/255", "cifar10/L2",
         "was made for l2:0.5 (cifar10/L2), not for linf:8/255; it was made for cifar10, and npz-own is another data set or a part of it"),
        ("Wang2020Improving", "cifar10", "linf:4/255", "cifar10/Linf", "was made for linf:8/255 (cifar10/Linf), not for linf:4/255"),
        ("Standard", "cifar10", "l2:1", "cifar10/L2", ""),
        ("Hendrycks2020AugMix_WRN", "cifar10", "linf:8/255", "cifar10/corruptions",
         "was made for cifar10/corruptions, not for adversarial images"),
        ("Liu2023Comprehensive_Swin-B", "imagenet", "linf:4/255", "imagenet/Linf",
         "is scored by RobustBench with BicubicRes256Crop224, not with Res256Crop224"),
        ("Liu2023Comprehensive_Swin-B", "imagenet-bicubic", "linf:4/255", "imagenet/Linf", ""),
    ],
)  # fmt: skip
def test_board_and_remarks_follow_from_the_run(
    monkeypatch, zoo, tmp_path, caplog, name, dataset, threat, board, remark
):
    built = []

    def load_model(name, **options):
        built.append((name, options))
        return torch.nn.Identity()

    with _importable():
        import robustbench.utils
    monkeypatch.setattr(robustbench.utils, "load_model", load_model)
    monkeypatch.setattr("gdown.download", lambda **options: options["output"])
    network = robustbench_(name=name, data_dir=tmp_path, run_dataset=data(dataset), threat=ThreatModel.parse(threat))
    where, kind = board.split("/")
    assert built == [
        (name.rpartition("/")[2], {"model_dir": tmp_path / "robustbench", "dataset": where, "threat_model": kind})
    ]
    assert network.provenance == remark
    assert [record.getMessage() for record in caplog.records] == [f"note: robustbench:{name} {remark}"] * bool(remark)


robustbench_ = robustbench


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Carmon2019Unlabelled", "robustbench-model-unknown"),
        ("zzz", "robustbench-model-unknown"),
        ("cifar10/linf/Standard", "robustbench-board-unknown"),
        ("cifar10/L2/Carmon2019Unlabeled", "robustbench-model-off-board"),
        ("Rice2020Overfitting", "robustbench-model-ambiguous"),
    ],
)  # fmt: skip
def test_names_that_are_not_in_the_zoo(name, code, tmp_path):
    with refused(code):
        robustbench(name=name, data_dir=tmp_path, run_dataset=data("npz-own"), threat=LINF)


def test_a_newer_release_may_have_names_that_are_not_listed(monkeypatch, zoo, placed, tmp_path):
    models = zoo["cifar10/Linf"]
    monkeypatch.setitem(models, "New2030Model", models[SMALL])
    placed("New2030Model")
    assert robustbench(name="New2030Model", data_dir=tmp_path, run_dataset=data(), threat=LINF)


def test_checkpoints_that_cannot_be_had(monkeypatch, tmp_path):
    asked = []

    def breaks(**options):
        asked.append(options)
        raise ConnectionError("broke\noff")

    monkeypatch.setattr("gdown.download", breaks)
    with refused("robustbench-download"):
        robustbench(name=SMALL, data_dir=tmp_path, run_dataset=data(), threat=LINF)
    assert asked[0]["resume"] is True
    assert asked[0]["output"] == str(tmp_path / "robustbench/cifar10/Linf" / f"{SMALL}.pt")
    monkeypatch.setattr("gdown.download", lambda **options: None)
    with refused("robustbench-download", match="no answer"):
        robustbench(name=SMALL, data_dir=tmp_path, run_dataset=data(), threat=LINF)


def test_an_ensemble_has_a_file_for_each_member(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("gdown.download", lambda **options: asked.append(Path(options["output"]).name))
    with refused("robustbench-download"):
        robustbench(name="Chen2020Adversarial", data_dir=tmp_path, run_dataset=data(), threat=LINF)
    assert asked == ["Chen2020Adversarial.pt_m0.pt"]


class Evil:
    def __reduce__(self):
        return (print, ("harm",))


@pytest.mark.parametrize("content", ["cut", "other", "evil"])
def test_checkpoints_that_are_damaged_or_of_something_else(placed, tmp_path, content, capsys):
    placed(wrap={"other": lambda s: {"conv": torch.zeros(1)}, "evil": lambda s: Evil(), "cut": lambda s: s}[content])
    file = tmp_path / "robustbench/cifar10/Linf" / f"{SMALL}.pt"
    if content == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    with refused("robustbench-damaged"):
        robustbench(name=SMALL, data_dir=tmp_path, run_dataset=data(), threat=LINF)
    assert "harm" not in capsys.readouterr().out


def test_the_files_of_another_package_are_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "robustbench.model_zoo.models", None)
    with refused("robustbench-missing"):
        robustbench(name=SMALL, data_dir=tmp_path, run_dataset=data(), threat=LINF)


def test_an_environment_variable_of_the_users_stays(monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0")
    with _importable():  # where torch would unpickle anything by default, as before 2.6, it does not
        assert __import__("os").environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert __import__("os").environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "0"


def test_a_run_with_a_model_of_the_zoo(zoo, placed, tmp_path, monkeypatch, capsys):
    """With a linear network in the place of the model's own, which would take most of the time to measure claims on."""
    linear = lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10))  # noqa: E731
    monkeypatch.setitem(zoo["cifar10/Linf"][SMALL], "model", linear)
    monkeypatch.chdir(tmp_path)
    placed()
    images = data()
    np.savez("own.npz", images=images.images, labels=images.labels)
    words = f"run --dataset npz:own.npz --classifier robustbench:{SMALL} --data-dir . --defense none --attack null -n 2 --json".split()
    assert main([*words, "--threat", "linf:4/255"]) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert summary["spec"]["classifier"]["args"] == {"name": SMALL}
    assert f"note: robustbench:{SMALL} was made for linf:8/255 (cifar10/Linf), not for linf:4/255" in err
    header = json.loads((Path(summary["path"]) / "run.json").read_text())
    assert header["notes"][-1].startswith(f"robustbench:{SMALL}: was made for linf:8/255")


def test_every_scored_board_has_its_threat():
    assert set(EPS) == {board for board in BOARDS if not board.endswith("corruptions")}
    assert all(str(ThreatModel.parse(threat)) == threat for threat in EPS.values())


def test_the_resnet18_is_that_of_pyautoattack():
    package = Path(importlib.util.find_spec("pyautoattack").submodule_search_locations[0])
    from pyautoattack.examples.resnet import ResNet18

    reference = ResNet18().eval()
    reference.load_state_dict(torch.load(package / "examples/model_test.pt", map_location="cpu", weights_only=True))
    x = torch.from_numpy(data().floats(slice(None)))
    network = autoattack_resnet18()
    assert torch.equal(network(x), reference(x))
    assert network.image_shape == (3, 32, 32)


def test_the_resnet18_is_right_on_the_images_of_foolbox():
    """20 test images of CIFAR-10, which that package carries (`pip install --no-deps foolbox`)."""
    from PIL import Image

    found = importlib.util.find_spec("foolbox")
    if found is None:
        pytest.skip("foolbox is not installed")
    files = sorted((Path(found.origin).parent / "data").glob("cifar10_*.png"))
    images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files]).transpose(0, 3, 1, 2)
    labels = [int(file.stem.rpartition("_")[2]) for file in files]
    assert autoattack_resnet18()(torch.from_numpy(images / 255).float()).argmax(dim=1).tolist() == labels


def test_a_resnet18_that_is_missing_or_another(tmp_path, monkeypatch):
    with refused("resnet18-missing"):
        autoattack_resnet18(path=tmp_path / "absent.pt")
    (tmp_path / "other.pt").write_bytes(b"another")
    with refused("resnet18-changed"):
        autoattack_resnet18(path=tmp_path / "other.pt")
    assert len(bench.models.networks.resnet18.SHA256) == 64


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Random weights of a ResNet-18, published in a folder as torchvision publishes them; torch.hub's folder is a new one."""
    network = resnet18(weights=None).eval()
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    name = f"resnet18-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}.pth"
    (tmp_path / name).write_bytes(buffer.getvalue())

    class Published(WeightsEnum):
        IMAGENET1K_V1 = Weights(
            url=(tmp_path / name).as_uri(), transforms=ResNet18_Weights.IMAGENET1K_V1.transforms, meta={"num_params": 0}
        )
        DEFAULT = IMAGENET1K_V1

    monkeypatch.setattr("torchvision.models.get_model_weights", lambda model: Published)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    return network, tmp_path / name


def test_torchvision_models_normalise_inside(published):
    network, _ = published
    x = torch.from_numpy(data("imagenet", 64).floats(slice(0, 2)))
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = network((x - mean.view(1, 3, 1, 1)) / spread.view(1, 3, 1, 1))
    for weights in ("DEFAULT", "IMAGENET1K_V1"):
        torch.testing.assert_close(torchvision(name="resnet18", weights=weights)(x), expected)


def test_torchvision_weights_are_checked_and_kept(published, tmp_path):
    _, file = published
    torchvision(name="resnet18")
    kept = tmp_path / "hub" / "checkpoints" / file.name
    file.unlink()
    torchvision(name="resnet18")
    kept.write_bytes(kept.read_bytes()[:-1])
    with refused("download-changed", match=file.stem[-8:]):
        torchvision(name="resnet18")
    kept.unlink()
    with refused("download-failed"):
        torchvision(name="resnet18")


def test_torchvision_names_that_do_not_exist(published):
    with refused("torchvision-model-unknown", match="did you mean resnet18"):
        torchvision(name="resnet81")
    with refused("torchvision-weights"):
        torchvision(name="resnet18", weights="V9")
