"""Data sets: contents, order, hashes, and the user's own images."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refused import refused

import bench.data.fashion_mnist
from bench.data.arrays import npz
from bench.data.dataset import Dataset, balanced_order
from bench.data.fashion_mnist import fashion_mnist, fashion_mnist_selection, fashion_mnist_training
from bench.data.folders import folder

INSIDE = Path(bench.data.fashion_mnist.__file__).parent / "fashion-mnist"


@pytest.fixture(scope="module")
def fashion():
    return fashion_mnist()


def test_fashion_mnist(fashion):
    assert fashion.images.shape == (10_000, 1, 28, 28)
    assert fashion.images.dtype == np.uint8
    assert np.bincount(fashion.labels).tolist() == [1000] * 10
    assert sorted(fashion.ids) == list(range(10_000))
    assert fashion.classes[fashion.labels[np.flatnonzero(fashion.ids == 0)[0]]] == "ankle boot"


def test_every_prefix_is_balanced(fashion):
    counts = np.cumsum(np.eye(10, dtype=int)[fashion.labels], axis=0)
    assert (counts.max(axis=1) - counts.min(axis=1)).max() == 1


def test_the_order_is_published(fashion):
    assert fashion.ids[:10].tolist() == [19, 2, 1, 13, 6, 8, 4, 9, 18, 0]


def test_floats_are_exact_levels(fashion):
    x = fashion.floats(slice(0, 3))
    assert (x.dtype, x.shape) == (np.float32, (3, 1, 28, 28))
    assert (np.rint(x * 255) == fashion.images[:3]).all()
    assert x.max() <= 1


def copy_of(inside, where):
    for file in inside.glob("*.gz"):
        shutil.copy(file, where / file.name)


def test_a_flipped_byte_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(bench.data.fashion_mnist, "__file__", str(tmp_path / "module.py"))
    (tmp_path / "fashion-mnist").mkdir()
    copy_of(INSIDE, tmp_path / "fashion-mnist")
    assert len(fashion_mnist()) == 10_000
    file = tmp_path / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(file.read_bytes()))
    content[100] ^= 1
    file.write_bytes(gzip.compress(content))
    with refused("idx-changed", match="0402a96d92fd"):
        fashion_mnist()


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:99])])
def test_a_missing_or_cut_file_is_noticed(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(bench.data.fashion_mnist, "__file__", str(tmp_path / "module.py"))
    (tmp_path / "fashion-mnist").mkdir()
    copy_of(INSIDE, tmp_path / "fashion-mnist")
    damage(tmp_path / "fashion-mnist" / "t10k-images-idx3-ubyte.gz")
    with refused("idx-unreadable"):
        fashion_mnist()


@pytest.mark.parametrize("layout", ["", "FashionMNIST/raw"])
def test_training_images_are_found_and_checked(tmp_path, layout):
    (tmp_path / layout).mkdir(parents=True, exist_ok=True)
    for part in ("images-idx3", "labels-idx1"):
        shutil.copy(INSIDE / f"t10k-{part}-ubyte.gz", tmp_path / layout / f"train-{part}-ubyte.gz")
    with refused("idx-changed", match="c59f468a2f67"):
        fashion_mnist_training(tmp_path)


def test_the_selection_set_is_the_end_of_the_training_set(monkeypatch):
    images = np.zeros((60_000, 1, 1, 1), np.uint8)
    labels = np.arange(60_000) % 10
    monkeypatch.setattr(bench.data.fashion_mnist, "fashion_mnist_training", lambda data_dir: (images, labels))
    data = fashion_mnist_selection()
    assert sorted(data.ids) == list(range(58_000, 60_000))
    assert (data.labels == labels[data.ids]).all()


def test_balanced_order_by_hand():
    assert balanced_order(np.array([2, 0, 0, 0, 1, 2])).tolist() == [1, 4, 0, 2, 5, 3]


def small(**changes):
    values = {
        "name": "small", "ids": np.arange(4), "images": np.zeros((4, 1, 2, 2), np.uint8), "labels": np.array([0, 1, 0, 1]),
        "classes": ("a", "b"),
    }  # fmt: skip
    return Dataset(**values | changes)


def test_the_hash_covers_ids_images_and_labels():
    white = np.full((4, 1, 2, 2), 255, np.uint8)
    variants = [
        small(), small(ids=np.array([0, 1, 3, 2])), small(images=white), small(labels=np.array([1, 0, 0, 1])),
        small(images=np.zeros((4, 1, 2, 2), np.float32)), small(images=np.zeros((4, 1, 1, 4), np.uint8)),
    ]  # fmt: skip
    assert len({data.sha256 for data in variants}) == len(variants)
    assert small(labels=np.array([0, 1, 0, 1], np.uint8), ids=np.arange(4, dtype=np.int32)).sha256 == small().sha256


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("data-shape", {"images": np.zeros((4, 2, 2), np.uint8)}),
        ("data-shape", {"images": np.zeros((4, 2, 2, 2), np.uint8)}),
        ("data-dtype", {"images": np.zeros((4, 1, 2, 2), np.int32)}),
        ("data-range", {"images": np.full((4, 1, 2, 2), 1.5)}),
        ("data-not-finite", {"images": np.full((4, 1, 2, 2), np.nan)}),
        ("data-labels", {"labels": np.zeros(3, int)}),
        ("data-labels", {"labels": np.zeros(4)}),
        ("data-label-range", {"labels": np.array([0, 1, 2, 0])}),
        ("data-label-range", {"labels": np.array([0, -1, 1, 0])}),
        ("data-ids-repeated", {"ids": np.array([0, 1, 1, 2])}),
        ("data-ids-range", {"ids": np.array([0, 1, 2, -1])}),
        ("data-ids-range", {"ids": np.arange(4) << 31}),
        ("data-ids-range", {"ids": np.arange(4.0)}),
        ("data-ids-repeated", {"ids": np.arange(3)}),
    ],
)
def test_arrays_that_do_not_fit(code, changes):
    with refused(code):
        small(**changes)


LEVELS = np.arange(4 * 3 * 2 * 3, dtype=np.uint8).reshape(4, 3, 2, 3)  # N, C, H, W


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (LEVELS[:, 0], LEVELS[:, :1]),
        (LEVELS.transpose(0, 2, 3, 1)[:, :, :2], LEVELS[:, :, :, :2]),
        (LEVELS, LEVELS),
        (LEVELS / 255, LEVELS / 255),
        ((LEVELS / 255).astype(np.float32), (LEVELS / 255).astype(np.float32)),
    ],
)
def test_npz_in_every_layout(tmp_path, images, expected):
    np.savez(tmp_path / "own.npz", images=images, labels=np.array([1, 1, 0, 0], np.uint8))
    data = npz(path=str(tmp_path / "own.npz"))
    assert (data.name, data.classes) == ("npz-own", ("0", "1"))
    assert data.ids.tolist() == [2, 0, 3, 1]
    assert data.labels.tolist() == [0, 1, 0, 1]
    assert data.images.dtype == expected.dtype
    assert (data.images == expected[data.ids]).all()
    assert np.allclose(data.floats(slice(None)), (expected if expected.max() <= 1 else expected / 255)[data.ids])


def test_npz_that_is_missing(tmp_path):
    with refused("npz-unreadable"):
        npz(path=str(tmp_path / "own.npz"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_npz_that_is_none(tmp_path, content):
    (tmp_path / "own.npz").write_bytes(content)
    with refused("npz-unreadable"):
        npz(path=str(tmp_path / "own.npz"))


def test_npz_that_is_damaged_inside(tmp_path):
    np.savez_compressed(tmp_path / "own.npz", images=LEVELS, labels=np.zeros(4, int))
    content = bytearray((tmp_path / "own.npz").read_bytes())
    content[60:90] = b"\xff" * 30
    (tmp_path / "own.npz").write_bytes(content)
    with refused("npz-unreadable"):
        npz(path=str(tmp_path / "own.npz"))


def test_npy_is_not_npz(tmp_path):
    np.save(tmp_path / "own.npy", LEVELS)
    with refused("npz-unreadable"):
        npz(path=str(tmp_path / "own.npy"))


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({"images": LEVELS}, "npz-arrays"),
        (
            {"images": LEVELS, "labels": np.zeros(3, int)},
            "npz-labels",
        ),
        ({"images": LEVELS, "labels": np.zeros(4)}, "npz-labels"),
        (
            {"images": LEVELS[0, 0], "labels": np.zeros(2, int)},
            "npz-shape",
        ),
        ({"images": LEVELS[:0], "labels": np.zeros(0, int)}, "data-empty"),
        (
            {"images": np.array([{}, {}]), "labels": np.zeros(2, int)},
            "npy-objects",
        ),
    ],
)
def test_npz_whose_arrays_do_not_fit(tmp_path, arrays, code):
    np.savez(tmp_path / "own.npz", **arrays)
    with refused(code):
        npz(path=str(tmp_path / "own.npz"))


def picture(root, name, array):
    file = root / name
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(file)


def test_folder(tmp_path):
    for number, name in enumerate(["cat/b.png", "cat/a.png", "dog/c.PNG"]):
        picture(tmp_path, name, np.full((2, 3), number, np.uint8))
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    data = folder(path=str(tmp_path))
    assert data.classes == ("cat", "dog")
    assert data.labels.tolist() == [0, 1, 0]
    assert data.ids.tolist() == [0, 2, 1]
    assert data.images.shape == (3, 1, 2, 3)
    assert data.images[:, 0, 0, 0].tolist() == [1, 2, 0]


def test_folder_in_colour(tmp_path):
    colours = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    picture(tmp_path, "cat/a.png", colours)
    assert (folder(path=str(tmp_path)).images == colours.transpose(2, 0, 1)).all()


def test_folder_in_sixteen_bits_is_scaled(tmp_path):
    picture(tmp_path, "cat/a.png", np.array([[0, 257, 128 * 257, 65_535]], np.uint16))
    assert folder(path=str(tmp_path)).images.ravel().tolist() == [0, 1, 128, 255]


def test_folder_without_images(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with refused("folder-empty"):
            folder(path=str(path))


def test_folder_with_several_sizes(tmp_path):
    picture(tmp_path, "cat/a.png", np.zeros((2, 2), np.uint8))
    picture(tmp_path, "cat/b.png", np.zeros((2, 3), np.uint8))
    with refused("folder-sizes", match=r"2 x 2 in 1 of 2 and 2 x 3 in .*cat/b\.png"):
        folder(path=str(tmp_path))


@pytest.mark.parametrize("keep", [0, 40])
def test_folder_with_a_broken_image(tmp_path, keep):
    picture(tmp_path, "cat/a.png", np.arange(16, dtype=np.uint8).reshape(4, 4))
    (tmp_path / "cat" / "a.png").write_bytes((tmp_path / "cat" / "a.png").read_bytes()[:keep])
    with refused("picture-unreadable"):
        folder(path=str(tmp_path))
