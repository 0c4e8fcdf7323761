"""CIFAR, MNIST, ImageNet and digits: read as torchvision, RobustBench and scikit-learn read them, from files in the published formats."""

import gzip
import hashlib
import io
import json
import pickle
import tarfile

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image
from refused import refused

import bench.data.imagenet
from bench.cli.main import main
from bench.data.cifar import cifar10, cifar10_training, cifar100, cifar100_training
from bench.data.digits import digits, digits_training
from bench.data.imagenet import imagenet
from bench.data.mnist import mnist, mnist_training
from bench.registry.tables import make_registry
from bench.threat import ThreatModel


def levels(count, *shape):
    return (np.arange(count * int(np.prod(shape)), dtype=np.int64) * 7919 % 251).astype(np.uint8).reshape(count, *shape)


@pytest.fixture
def server(file_server):
    """The address of a server of the folder `server`."""
    return f"{file_server.url}/"


def publish_cifar(tmp_path, monkeypatch, address, kind, *, classes, key):
    """Publishes 20 images a batch as the archive of that data set: its layout, its pickles, its checksums."""
    published = getattr(torchvision.datasets, kind)
    names, files = [f"class {k}" for k in range(classes)], {}
    for number, (name, _) in enumerate(published.train_list + published.test_list):
        labels = [(3 * row + number) % classes for row in range(20)]
        files[name] = {"data": levels(20, 3072) + np.uint8(number), key: labels}
    files[published.meta["filename"]] = {published.meta["key"]: names}
    contents = {name: pickle.dumps(value, protocol=2) for name, value in files.items()}
    with tarfile.open(tmp_path / "server" / published.filename, "w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(f"{published.base_folder}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    for attribute in ("train_list", "test_list"):
        monkeypatch.setattr(published, attribute, [[name, md5[name]] for name, _ in getattr(published, attribute)])
    monkeypatch.setattr(published, "meta", published.meta | {"md5": md5[published.meta["filename"]]})
    monkeypatch.setattr(published, "url", address + published.filename)
    archive = (tmp_path / "server" / published.filename).read_bytes()
    monkeypatch.setattr(published, "tgz_md5", hashlib.md5(archive).hexdigest())
    return published, files


CIFAR = [
    pytest.param(cifar10, cifar10_training, "CIFAR10", 10, "labels", id="cifar10"),
    pytest.param(cifar100, cifar100_training, "CIFAR100", 100, "fine_labels", id="cifar100"),
]


@pytest.mark.parametrize(("load", "load_training", "kind", "classes", "key"), CIFAR)
def test_cifar_is_downloaded_once_and_read_as_torchvision_reads_it(
    tmp_path, monkeypatch, server, load, load_training, kind, classes, key
):
    published, files = publish_cifar(tmp_path, monkeypatch, server, kind, classes=classes, key=key)
    root = tmp_path / "data"
    data = load(root)
    test = files[published.test_list[0][0]]
    assert data.images.shape == (20, 3, 32, 32)
    assert (data.images.reshape(20, -1) == test["data"][data.ids]).all()
    assert data.labels.tolist() == np.array(test[key])[data.ids].tolist()
    assert data.classes == tuple(f"class {k}" for k in range(classes))
    reference = published(root, train=False)
    assert (np.asarray(reference[int(data.ids[3])][0]).transpose(2, 0, 1) == data.images[3]).all()
    (tmp_path / "server" / published.filename).unlink()  # neither is needed again
    images, labels = load_training(root)
    assert images.shape == (20 * len(published.train_list), 3, 32, 32)
    assert labels[:20].tolist() == files[published.train_list[0][0]][key]
    assert load(root).sha256 == data.sha256


def test_the_first_images_are_the_same_for_everyone(tmp_path, monkeypatch, server):
    """Classes take turns by their number; within a class the order of the file is kept."""
    publish_cifar(tmp_path, monkeypatch, server, "CIFAR10", classes=10, key="labels")
    data = cifar10(tmp_path / "data")
    assert data.labels.tolist() == [*range(10)] * 2
    first = [next(row for row in range(20) if (3 * row + 5) % 10 == label) for label in range(10)]
    assert data.ids[:10].tolist() == first
    assert (data.ids[10:] == data.ids[:10] + 10).all()


def test_an_archive_that_lies_there_is_unpacked_and_a_half_unpacked_one_again(tmp_path, monkeypatch, server):
    published, _ = publish_cifar(tmp_path, monkeypatch, server, "CIFAR10", classes=10, key="labels")
    archive = tmp_path / "server" / published.filename
    root = tmp_path / "data"
    root.mkdir()
    archive.rename(root / published.filename)
    whole = cifar10(root).sha256
    batch = root / published.base_folder / "test_batch"
    batch.write_bytes(batch.read_bytes()[:100])
    assert cifar10(root).sha256 == whole


def test_a_batch_whose_checksum_is_wrong_is_never_unpickled(tmp_path, monkeypatch, server):
    published, _ = publish_cifar(tmp_path, monkeypatch, server, "CIFAR10", classes=10, key="labels")
    cifar10(tmp_path / "data")

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    (tmp_path / "data" / published.base_folder / "test_batch").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "data" / published.filename).unlink()
    (tmp_path / "server" / published.filename).unlink()
    with refused("download-failed", match="404"):
        cifar10(tmp_path / "data")
    assert not (tmp_path / "harm").exists()


def test_a_cifar_archive_that_is_another_one(tmp_path, monkeypatch, server, capsys):
    published, _ = publish_cifar(tmp_path, monkeypatch, server, "CIFAR10", classes=10, key="labels")
    (tmp_path / "server" / published.filename).write_bytes(b"something else")
    words = ["run", "--dataset", "cifar10", "--data-dir", str(tmp_path / "data"), "--classifier", "autoattack-resnet18"]
    assert main([*words, "--defense", "none", "--quiet", "--results", str(tmp_path / "results")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert published.tgz_md5[:12] in err
    assert "[download-changed]" in err


def test_a_broken_off_download_is_one_sentence_and_the_same_command_goes_on(
    tmp_path, monkeypatch, server, file_server, capsys
):
    published, _ = publish_cifar(tmp_path, monkeypatch, server, "CIFAR10", classes=10, key="labels")
    size = (file_server.folder / published.filename).stat().st_size
    file_server.limit = size // 2
    words = ["run", "--dataset", "cifar10", "--data-dir", str(tmp_path / "data"), "--classifier", "autoattack-resnet18"]
    words += ["--defense", "none", "--attack", "null", "-n", "2", "--results", str(tmp_path / "results")]
    assert main([*words, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "the connection broke off after" in err
    assert "[download-failed]" in err
    file_server.limit = None
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out.startswith("none under null · cifar10 linf:8/255 · n = 2")
    assert f"{published.filename}: continuing after " in err
    assert file_server.asked == [None, f"bytes={size // 2}-"]


def idx(array):
    """The IDX format: two zeros, 8 for unsigned bytes, the number of dimensions, each of them, the bytes; gzipped."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(b"\0\0\x08" + bytes([array.ndim]) + sizes + array.astype(np.uint8).tobytes())


@pytest.fixture
def mnist_server(tmp_path, monkeypatch, server):
    """Publishes 30 training and 20 test images as MNIST; the first mirror is down."""
    parts = {}
    for split, count in (("train", 30), ("t10k", 20)):
        parts[f"{split}-images-idx3-ubyte.gz"] = idx(levels(count, 28, 28))
        parts[f"{split}-labels-idx1-ubyte.gz"] = idx(np.arange(count) * 3 % 10)
    for name, content in parts.items():
        (tmp_path / "server" / name).write_bytes(content)
    monkeypatch.setattr(
        torchvision.datasets.MNIST,
        "resources",
        [(name, hashlib.md5(content).hexdigest()) for name, content in parts.items()],
    )
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/", server])
    return tmp_path / "server"


def test_mnist_is_read_as_torchvision_reads_it(tmp_path, mnist_server):
    root = tmp_path / "data"
    data, (images, labels) = mnist(root), mnist_training(root)
    assert data.images.shape == (20, 1, 28, 28)
    assert data.labels.tolist() == [*range(10)] * 2
    for train, found, wanted in ((False, data.images, data.ids), (True, images, np.arange(30))):
        reference = torchvision.datasets.MNIST(root, train=train, download=True)
        assert (reference.data.numpy()[wanted] == found[:, 0]).all()
        assert (reference.targets.numpy()[wanted] == (labels if train else data.labels)).all()


def test_mnist_in_a_flat_folder_and_with_a_changed_file(tmp_path, mnist_server):
    data = mnist(mnist_server)
    assert data.sha256 == mnist(tmp_path / "data").sha256
    file = mnist_server / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(idx(levels(20, 28, 28) + np.uint8(1)))
    with refused("idx-changed"):
        mnist(mnist_server)


def test_the_digits_of_scikit_learn():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    data, (images, labels) = digits(), digits_training()
    reference = load_digits()
    assert data.images.shape == (797, 1, 8, 8)
    assert sorted(data.ids) == [*range(1000, 1797)]
    assert (data.images[:, 0] * 16 == reference.images[data.ids]).all()
    assert (data.labels == reference.target[data.ids]).all()
    assert data.labels[:20].tolist() == [*range(10)] * 2
    assert (images[:, 0] == np.rint(reference.images[:1000] / 16 * 255)).all()
    assert (labels == reference.target[:1000]).all()


def test_without_scikit_learn_one_sentence_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    words = ["run", "--dataset", "digits", "--classifier", "fashion-mnist-cnn", "--defense", "none", "--quiet"]
    assert main(words) == 2
    assert capsys.readouterr().err.endswith('; pip install "purebench[digits]" [package-missing]\n')


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """A validation folder of 8 photographs in 3 classes and more, and the list of 6 of them; the cache lies in `cache`."""
    classes = {"n01440764": 0, "n01443537": 1, "n01484850": 2}
    names = []
    for number in range(8):
        name = f"{sorted(classes)[number % 3]}/ILSVRC2012_val_{number:08}.JPEG"
        width, height = 300 + 37 * number, 420 - 19 * number
        picture = Image.fromarray(levels(height, width, 3)).resize((width, height), Image.Resampling.BOX)
        file = tmp_path / "photos" / "val" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        (picture if number % 4 else picture.convert("L")).save(file, quality=90)
        names.append(name)
    package = tmp_path / "package"
    (package / "helper_files").mkdir(parents=True)
    texts = {bench.data.imagenet.IDS: "\n".join(names[:6][::-1]), bench.data.imagenet.CLASSES: json.dumps(classes)}
    for name, text in texts.items():
        (package / "helper_files" / name).write_text(text)
    monkeypatch.setattr(
        bench.data.imagenet,
        "CHECKSUMS",
        {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()},
    )
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: type("Spec", (), {"submodule_search_locations": [str(package)]})
    )
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache")
    return tmp_path / "photos", names[:6][::-1], classes


@pytest.mark.parametrize("below", ["", "val"])
def test_imagenet_is_prepared_as_robustbench_prepares_it(photographs, below):
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize, ToTensor

    folder, names, classes = photographs
    for preprocessing, mode in (("Res256Crop224", "bilinear"), ("BicubicRes256Crop224", "bicubic")):
        data = imagenet(folder / below, preprocessing=preprocessing)
        prepare = Compose([Resize(256, interpolation=InterpolationMode(mode)), CenterCrop(224), ToTensor()])
        assert data.name == ("imagenet" if mode == "bilinear" else "imagenet-bicubic")
        assert data.images.shape == (6, 3, 224, 224)
        assert sorted(data.ids) == [*range(6)]
        assert data.labels.tolist() == [0, 1, 2, 0, 1, 2]
        for row in range(6):
            name = names[data.ids[row]]
            assert data.labels[row] == classes[name.partition("/")[0]]
            expected = prepare(Image.open(folder / "val" / name).convert("RGB")).numpy()
            np.testing.assert_allclose(data.floats(slice(row, row + 1))[0], expected, atol=1e-7)
    assert imagenet(folder).sha256 != data.sha256


def test_decoded_photographs_are_kept_until_they_change(photographs, monkeypatch):
    folder, names, _ = photographs
    first = imagenet(folder).sha256
    reads = []
    read = bench.data.imagenet._read
    monkeypatch.setattr(bench.data.imagenet, "_read", lambda *given: reads.append(given) or read(*given))
    assert imagenet(folder).sha256 == first
    assert reads == []
    Image.new("RGB", (300, 300)).save(folder / "val" / names[0])
    assert imagenet(folder).sha256 != first
    assert len(reads) == 6


def test_without_a_place_for_the_cache_they_are_decoded_each_time(photographs, tmp_path):
    (tmp_path / "cache").touch()
    assert imagenet(photographs[0]).images.shape == (6, 3, 224, 224)


def test_photographs_that_are_missing_or_broken(photographs):
    folder, names, _ = photographs
    (folder / "val" / names[2]).write_bytes(b"no photograph")
    with refused("imagenet-image"):
        imagenet(folder)
    (folder / "val" / names[2]).unlink()
    with refused("imagenet-folder", match=f"1 of 6 .*{names[2]}"):
        imagenet(folder)
    with refused("imagenet-folder", match="6 of 6"):
        imagenet(folder / "absent")
    with refused("imagenet-preprocessing"):
        imagenet(folder, preprocessing="x")


def test_another_list_of_images_is_noticed(photographs, monkeypatch):
    monkeypatch.setattr(bench.data.imagenet, "CHECKSUMS", {bench.data.imagenet.IDS: "0"})
    with refused("imagenet-order"):
        imagenet(photographs[0])


def test_the_five_thousand_are_those_of_robustbench():
    names, numbers = bench.data.imagenet._published()
    assert (len(names), len(set(names)), len(numbers)) == (5000, 5000, 1000)
    assert names[0] == "n09468604/ILSVRC2012_val_00015253.JPEG"
    assert sorted(numbers, key=lambda name: numbers[name]) == sorted(numbers)  # as folders in alphabetical order


def test_imagenet_is_not_trained_on(capsys):
    assert main(["train", "classifier", "--dataset", "imagenet", "--quiet"]) == 2
    assert "[imagenet-training]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "threat", "classifier", "score"),
    [
        ("cifar10", "linf:8/255", "robustbench:Standard", "diffusers:google/ddpm-cifar10-32"),
        ("imagenet", "linf:4/255", "robustbench:Standard_R50", None),
        ("fashion-mnist", "linf:20/255", "fashion-mnist-cnn", "fashion-mnist-unet"),
        ("mnist", "linf:0.3", None, None),
    ],
)
def test_defaults(name, threat, classifier, score):
    registry = make_registry()
    entry = registry.find("datasets", name).entry
    assert (entry.threats[0], entry.defaults.get("classifier"), entry.defaults.get("score_model")) == (
        threat,
        classifier,
        score,
    )
    for kind, default in (("classifiers", classifier), ("score_models", score)):
        if default:
            assert registry.find(kind, default).source == "built-in"


def test_every_board_of_a_data_set_is_a_threat():
    for found in make_registry().all("datasets"):
        assert [str(ThreatModel.parse(threat)) for threat in found.entry.threats] == [*found.entry.threats]
