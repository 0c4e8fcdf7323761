"""Small stand-ins for the JPEG files of CIFAR-10: grey images, which compression keeps exactly."""

import io
import zipfile

import numpy as np
from PIL import Image

from bench.data.cifar_jpeg import CLASSES, content_digest


def grey(level):
    """A JPEG of one grey level."""
    packed = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), level, np.uint8)).save(packed, "JPEG", quality=75)
    return packed.getvalue()


def grey_files(start, count):
    """Names and contents: image `j` of class `k` has the grey level `start + count k + j`."""
    return {
        f"{label}/{j:04d}.jpg": grey(start + count * k + j) for k, label in enumerate(CLASSES) for j in range(count)
    }


def zipped(root, splits):
    """Writes `SPLIT.zip` for each split into a new folder."""
    root.mkdir()
    for split, files in splits.items():
        with zipfile.ZipFile(root / f"{split}.zip", "w") as archive:
            archive.writestr("README.md", "no image")
            for name, content in reversed(files.items()):
                archive.writestr(name, content)
    return root


def checksums(splits):
    """What replaces the published checksums."""
    return {split: content_digest(sorted(files.items())) for split, files in splits.items()}
