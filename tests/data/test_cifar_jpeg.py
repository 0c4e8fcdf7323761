"""CIFAR-10 as JPEGs: one content however it is packed, in the published order, and nothing else under its name."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from jpeg_images import checksums, grey, grey_files, zipped
from refused import refused

import bench.data.cifar_jpeg as module
from bench.cli.main import main
from bench.data.cifar_jpeg import CLASSES, cifar10_jpeg, cifar10_jpeg_training

REAL = os.environ.get("PUREBENCH_CIFAR10_JPEG")
"""A folder with the real files."""


FILES = {"test": grey_files(10, 3), "train": grey_files(110, 3)}


@pytest.fixture(autouse=True)
def published(monkeypatch):
    monkeypatch.setattr(module, "CHECKSUMS", checksums(FILES))


def zips(root):
    return zipped(root, FILES)


def folders(root):
    for split, files in FILES.items():
        for name, content in files.items():
            path = root / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    (root / "test" / CLASSES[0] / "note.txt").write_text("no image")
    return root


def one_zip(root):
    """As a source repository is downloaded: all below one folder."""
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for split, files in FILES.items():
            for name, content in files.items():
                archive.writestr(f"repository-main/{split}/{name}", content)
    return path


@pytest.mark.parametrize("pack", [zips, folders, one_zip])
def test_classes_take_turns_in_the_order_of_the_names(tmp_path, pack):
    place = pack(tmp_path / "images")
    data = cifar10_jpeg(place)
    assert (data.name, data.classes, data.images.shape) == ("cifar10-jpeg", CLASSES, (30, 3, 32, 32))
    assert data.labels.tolist() == list(range(10)) * 3
    assert data.ids.tolist() == [3 * k + j for j in range(3) for k in range(10)]
    assert (data.images == (10 + data.ids)[:, None, None, None]).all()
    images, labels = cifar10_jpeg_training(place)
    assert (images[:, 0, 0, 0].tolist(), images.std(axis=(1, 2, 3)).max()) == (list(range(110, 140)), 0)
    assert labels.tolist() == np.repeat(range(10), 3).tolist()


def test_the_zip_file_of_one_split(tmp_path):
    assert len(cifar10_jpeg(zips(tmp_path / "images") / "test.zip")) == 30
    with refused("cifar10-jpeg-missing"):
        cifar10_jpeg_training(tmp_path / "images" / "test.zip")


def remove(place):
    (place / "test" / CLASSES[4] / "0001.jpg").unlink()


def recompress(place):
    (place / "test" / CLASSES[4] / "0001.jpg").write_bytes(grey(200))


def swap(place):
    first, second = (place / "test" / label / "0000.jpg" for label in CLASSES[:2])
    contents = second.read_bytes(), first.read_bytes()
    for file, content in zip((first, second), contents, strict=True):
        file.write_bytes(content)


@pytest.mark.parametrize("change", [remove, recompress, swap])
def test_other_images_are_refused(tmp_path, change):
    place = folders(tmp_path / "images")
    change(place)
    with refused("cifar10-jpeg-differs"):
        cifar10_jpeg(place)


def test_a_file_that_is_no_zip(tmp_path):
    (tmp_path / "test.zip").write_bytes(b"PK no zip")
    with refused("cifar10-jpeg-unreadable"):
        cifar10_jpeg(tmp_path)


def test_the_command_names_what_is_missing(tmp_path, capsys):
    words = ["run", "--dataset", "cifar10-jpeg", "--data-dir", str(tmp_path), "--classifier", "autoattack-resnet18"]
    assert main([*words, "--defense", "none", "--attack", "null"]) == 2
    assert "[cifar10-jpeg-missing]" in capsys.readouterr().err


@pytest.mark.skipif(REAL is None, reason="PUREBENCH_CIFAR10_JPEG does not name the folder of the images")
def test_the_real_images(monkeypatch):
    monkeypatch.undo()
    data = cifar10_jpeg(Path(REAL))
    assert np.bincount(data.labels).tolist() == [1000] * 10
    assert data.ids[:12].tolist() == [*range(0, 10_000, 1000), 1, 1001]
    assert data.images.mean() / 255 == pytest.approx(0.4765, abs=1e-4)
    images, labels = cifar10_jpeg_training(Path(REAL))
    assert (images.shape, np.bincount(labels).tolist()) == ((50_000, 3, 32, 32), [5000] * 10)
    assert images.mean() / 255 == pytest.approx(0.4733, abs=1e-4)
