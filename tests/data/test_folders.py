"""Image folders and arrays as people have them: nothing is left out in silence, and classes keep their index."""

import json

import numpy as np
import pytest
from PIL import Image
from refused import refused

from bench.cli.main import main
from bench.data.arrays import npz
from bench.data.folders import folder

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
COLOUR = np.dstack([GREY, GREY // 2, GREY // 4])


def put(root, name, array=GREY, **options):
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array, **options).save(file)
    return file


@pytest.fixture
def tree(tmp_path):
    """Two classes of two images."""
    for name in ("cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png"):
        put(tmp_path, name)
    return tmp_path


def read(path):
    return folder(path=str(path))


def test_a_plain_tree_has_nothing_to_say(tree):
    data = read(tree)
    assert (data.remarks, data.classes, data.labels.tolist()) == ((), ("cat", "dog"), [0, 1, 0, 1])


@pytest.mark.parametrize("name", [".ipynb_checkpoints", "__MACOSX", "@eaDir", "$RECYCLE.BIN", ".hidden"])
@pytest.mark.parametrize("below", ["", "cat"])
def test_system_folders_are_skipped_by_name(tree, name, below):
    put(tree, f"{below}/{name}/x.png".lstrip("/"))
    data = read(tree)
    assert (data.classes, data.labels.tolist()) == (("cat", "dog"), [0, 1, 0, 1])
    assert len(data.remarks) == 1
    assert name in data.remarks[0]


@pytest.mark.parametrize("name", ["._a.png", ".DS_Store", "Thumbs.db", "desktop.ini"])
def test_system_files_are_skipped_by_name(tree, name):
    for place in ("", "cat", "dog"):
        (tree / place / name).write_bytes(b"\x00\x05\x16\x07")
    data = read(tree)
    assert len(data) == 4
    assert f"{name} (3)" in data.remarks[0]


def test_a_class_without_images_is_refused_by_name(tree):
    (tree / "bird").mkdir()
    with refused("folder-class-empty"):
        read(tree)
    (tree / "bird" / "x.heic").write_bytes(b"x")
    with refused("folder-class-empty", match=r"bird.*1 of 5 .*\.heic"):
        read(tree)


@pytest.mark.parametrize("suffix", [".tif", ".pgm", ".bmp", ".webp", ".PNG", ".TIFF", ".gif"])
def test_more_kinds_of_files_are_read(tree, suffix):
    (tree / "cat" / "b.png").unlink()
    put(tree, f"cat/b{suffix}", **({"mode": "L"} if suffix == ".gif" else {}))
    data = read(tree)
    assert len(data) == 4
    assert not any("left out" in text for text in data.remarks)


@pytest.mark.parametrize("suffix", [".JPEG", ".JPG", ".jpe"])
def test_jpegs_of_any_spelling_are_read(tmp_path, suffix):
    file = tmp_path / "cat" / f"a{suffix}"
    file.parent.mkdir()
    Image.fromarray(GREY).save(file, format="JPEG")
    assert read(tmp_path).images.shape == (1, 1, 2, 3)


def test_what_is_not_read_is_counted_by_its_suffix(tree):
    for name in ("cat/x.heic", "dog/y.HEIC", "dog/z.npy", "loose.png", "README"):
        (tree / name).write_bytes(b"x")
    (remark,) = read(tree).remarks
    assert "5 of 9 files left out" in remark
    for kind in (".heic", ".npy", ".png"):
        assert kind in remark


def test_only_other_files(tmp_path):
    put(tmp_path, "a.png")
    with refused("folder-empty", match=r"1 of 1 .*\.png"):
        read(tmp_path)


def test_images_may_lie_deeper(tmp_path):
    for name in ("n1/images/a.JPEG", "n1/images/b.JPEG", "n2/images/deep/c.JPEG"):
        put(tmp_path, name)
    data = read(tmp_path)
    assert (data.classes, data.labels.tolist()) == (("n1", "n2"), [0, 1, 0])


@pytest.mark.parametrize("names", [("train", "val"), ("Train", "test"), ("val",)])
def test_parts_are_no_classes(tmp_path, names):
    for name in names:
        put(tmp_path, f"{name}/cat/a.png")
    with refused("folder-parts", match=names[0]):
        read(tmp_path)


def test_links_are_followed_and_circles_are_not(tree, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    put(elsewhere, "x.png")
    (tree / "eel").symlink_to(elsewhere)
    (tree / "dog" / "round").symlink_to(tree / "dog")
    (tree / "dog" / "e.png").symlink_to(elsewhere / "x.png")
    data = read(tree)
    assert (data.classes, np.bincount(data.labels).tolist()) == (("cat", "dog", "eel"), [2, 3, 1])


def test_a_broken_link_is_named(tree):
    (tree / "dog" / "e.png").symlink_to(tree / "absent.png")
    with refused("picture-unreadable"):
        read(tree)


@pytest.mark.parametrize("kind", ["RGB", "P", "RGBA"])
def test_grey_among_colours_becomes_rgb(tree, kind):
    Image.fromarray(COLOUR).convert(kind).save(tree / "dog" / "d.png")
    data = read(tree)
    assert data.images.shape == (4, 3, 2, 3)
    assert (data.images[data.ids == 0][0] == GREY).all()
    assert "3 of 4 files are grey" in data.remarks[0]


@pytest.mark.parametrize("array", [np.dstack([GREY, np.full_like(GREY, 255)]), GREY > 100])
def test_grey_with_alpha_and_bits_stay_grey(tmp_path, array):
    put(tmp_path, "cat/a.png", array)
    data = read(tmp_path)
    expected = array[..., 0] if array.ndim == 3 else array * np.uint8(255)
    assert data.images.shape == (1, 1, 2, 3)
    assert (data.images[0, 0] == expected).all()


def test_sixteen_bits_and_eight(tree):
    put(tree, "cat/a.png", GREY.astype(np.uint16) * 257)
    put(tree, "cat/b.png")
    assert (read(tree).images == GREY).all()


@pytest.mark.parametrize("alpha", [GREY, np.where(GREY > 0, 255, 254).astype(np.uint8)])
def test_alpha_that_is_not_constant_is_told(tree, alpha):
    for name in ("cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png"):
        put(tree, name, np.dstack([COLOUR, np.full_like(GREY, 128)]))
    assert read(tree).remarks == ()
    put(tree, "dog/d.png", np.dstack([COLOUR, alpha]))
    (remark,) = read(tree).remarks
    assert "alpha" in remark
    assert "1 of 4 files, such as d.png" in remark


def test_a_transparent_palette_is_told(tmp_path):
    file = tmp_path / "cat" / "a.png"
    file.parent.mkdir()
    Image.fromarray(COLOUR).convert("P").save(file, transparency=0)
    assert any("alpha" in text for text in read(tmp_path).remarks)


def test_pixels_that_bytes_cannot_stand_for(tmp_path):
    put(tmp_path, "cat/a.tif", GREY.astype(np.float32))
    with refused("picture-mode", match="mode F"):
        read(tmp_path)
    put(tmp_path, "cat/a.tif", GREY.astype(np.int32) * 1000)
    with refused("picture-mode", match=r"mode I in 0\.\.200000"):
        read(tmp_path)


def test_several_pictures_in_one_file(tmp_path):
    first = Image.fromarray(GREY)
    (tmp_path / "cat").mkdir()
    first.save(tmp_path / "cat" / "a.tif", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    with refused("picture-frames", match=r"a\.tif, got 2"):
        read(tmp_path)


def test_the_odd_size_is_named(tree):
    put(tree, "dog/c.png", np.zeros((3, 3), np.uint8))
    with refused("folder-sizes", match=r"2 x 3 in 3 of 4 and 3 x 3 in .*c\.png"):
        read(tree)


def test_numbered_classes_in_the_order_of_text(tmp_path):
    for name in range(11):
        put(tmp_path, f"{name}/a.png")
    data = read(tmp_path)
    assert data.classes[:3] == ("0", "1", "10")
    assert "0, 1, 10, 2" in data.remarks[0]


def test_one_class_is_told(tmp_path):
    """The validation images of Tiny-ImageNet lie in one folder `images`."""
    put(tmp_path, "images/a.png")
    assert "one class, 'images'" in read(tmp_path).remarks[0]


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"labels": np.eye(4, dtype=np.float32)}, r"got float32 of shape \(4, 4\); .*one-hot, save labels\.argmax\(axis=1\)"),
        ({"labels": np.eye(4, dtype=int)}, r"labels\.argmax"),
        ({"labels": np.arange(4.0)}, r"got float64 of shape \(4,\); save labels\.astype\(int\)"),
        ({"labels": np.arange(4) > 1}, r"labels\.astype\(int\)"),
        ({"labels": np.arange(4)[:, None]}, r"got int64 of shape \(4, 1\); save labels\.ravel\(\)"),
        ({"labels": np.arange(3)}, "give one per image"),
    ],
)  # fmt: skip
def test_labels_in_other_forms(tmp_path, arrays, sentence):
    np.savez(tmp_path / "own.npz", images=np.zeros((4, 2, 2), np.uint8), **arrays)
    with refused("npz-labels", match=sentence):
        npz(path=str(tmp_path / "own.npz"))


@pytest.mark.parametrize("names", [("x_test", "y_test"), ("data", "labels"), ("arr_0", "arr_1")])
def test_arrays_of_other_names(tmp_path, names):
    np.savez(tmp_path / "own.npz", **dict.fromkeys(names, np.zeros(4, int)))
    with refused("npz-arrays", match=", ".join(names)):
        npz(path=str(tmp_path / "own.npz"))


def test_labels_from_one(tmp_path):
    np.savez(tmp_path / "own.npz", images=np.zeros((4, 2, 2), np.uint8), labels=np.arange(4) + 1)
    data = npz(path=str(tmp_path / "own.npz"))
    assert (data.labels.tolist(), len(data.classes)) == ([1, 2, 3, 4], 5)
    assert "labels are 1..4, and none is 0" in data.remarks[0]


def test_remarks_are_on_stderr_and_in_the_record(tree, capsys, monkeypatch):
    monkeypatch.chdir(tree.parent)
    for file in tree.rglob("*.png"):
        put(tree, str(file.relative_to(tree)), np.full((28, 28), 90, np.uint8))
    (tree / "dog" / "x.heic").write_bytes(b"x")
    words = [
        "run",
        "--dataset",
        f"folder:{tree}",
        "--classifier",
        "fashion-mnist-cnn",
        "--defense",
        "none",
        "--attack",
        "null",
    ]
    assert main([*words, "--threat", "linf:8/255", "-n", "all", "--results", "made"]) == 2  # ten logits, two classes
    assert "1 of 5 files left out: .heic" in capsys.readouterr().err
    for name in range(8):
        put(tree, f"m{name}/a.png", np.full((28, 28), 90, np.uint8))
    assert main([*words, "--threat", "linf:8/255", "-n", "all", "--results", "made"]) == 0
    out, err = capsys.readouterr()
    (header,) = (tree.parent / "made").rglob("run.json")
    assert any("1 of 13 files left out" in note for note in json.loads(header.read_text())["notes"])
    assert "1 of 13 files left out" in out
    assert "1 of 13 files left out" in err
