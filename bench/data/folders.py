"""Your own images in a folder with one folder per class."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.arrays import channels_first, dataset_of
from bench.data.dataset import Dataset
from bench.data.pictures import SUFFIXES, Picture, read_picture
from bench.errors import UserError

LOG = logging.getLogger("bench.folders")
SYSTEM = frozenset(
    {
        "__MACOSX",
        "@eaDir",
        "__pycache__",
        "lost+found",
        "$RECYCLE.BIN",
        "System Volume Information",
        "Thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "Icon\r",
    }
)
"""Entries of operating systems and programs, which are skipped like those that start with a dot."""
PARTS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
SHOWN = 3


def folder(*, path: str) -> Dataset:
    """Images of one size in a folder, whose sub-folders, sorted by name, are the classes.

    Images may lie at any depth below their class, and links are followed. Hidden and system entries are skipped. If any
    image is in colour, grey ones become RGB; alpha is left out. The remarks of the data set list everything that was
    skipped, left out or changed.

    Arguments:
        path: The folder.

    Raises:
        UserError: There are no class folders, no images, a class without images, unreadable images, or different sizes.
    """
    root = Path(path)
    found = _found(root)
    names = sorted(found.classes)
    files = [file for name in names for file in found.classes[name]]
    if not files:
        left = f" but {found.left}" if found.others else ""
        raise UserError("folder-empty", path=path, left=left)
    _check_classes(found, path)
    pictures = [read_picture(file) for file in files]
    _check_sizes(path, files, pictures)
    remarks = tuple(text for text in (*found.remarks, *_changes(files, pictures)) if text)
    for text in remarks:
        LOG.warning("%s: %s", path, text)
    labels = np.repeat(np.arange(len(names)), [len(found.classes[name]) for name in names])
    images = channels_first(path, np.stack(_alike(pictures)))
    return dataset_of(f"folder-{root.resolve().name}", images, labels, tuple(names), remarks)


@dataclass(frozen=True)
class _Found:
    """Sorted images by class, names of skipped entries, and other files."""

    classes: dict[str, list[Path]]
    skipped: list[str]
    others: list[Path]

    @property
    def left(self) -> str:
        """`20 of 30 files left out: .tif`."""
        count = sum(map(len, self.classes.values())) + len(self.others)
        kinds = sorted({file.suffix.lower() or file.name for file in self.others})
        return f"{len(self.others)} of {count} files left out: {_shown(kinds)}" if self.others else ""

    @property
    def remarks(self) -> list[str]:
        """Notes for the record; empty texts do not apply."""
        names = sorted(self.classes)
        numbered = all(name.isdecimal() for name in names) and names != sorted(names, key=int)
        return [
            self.left,
            f"hidden and system entries skipped: {_tally(self.skipped)}" if self.skipped else "",
            f"classes are in the order of their names as text: {', '.join(names[:4])}, ..." if numbered else "",
            f"all images are of one class, {names[0]!r}" if len(names) == 1 else "",
        ]


def _found(root: Path) -> _Found:
    found = _Found({}, [], [])
    for entry in sorted(root.iterdir()) if root.is_dir() else []:
        if _is_system(entry.name):
            found.skipped.append(entry.name)
        elif entry.is_dir():
            found.classes[entry.name] = _sorted_files(_below(entry, found.skipped, set()), found.others)
        else:
            found.others.append(entry)
    return found


def _below(folder: Path, skipped: list[str], above: set[str]) -> Iterator[Path]:
    """Files at any depth; links to a parent folder are not followed."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in sorted(folder.iterdir()):
        if _is_system(entry.name):
            skipped.append(entry.name)
        elif entry.is_dir():
            yield from _below(entry, skipped, above | {real})
        else:
            yield entry


def _sorted_files(files: Iterable[Path], others: list[Path]) -> list[Path]:
    """The images among the files; all other files are added to `others`."""
    images: list[Path] = []
    for file in sorted(files):
        (images if file.suffix.lower() in SUFFIXES else others).append(file)
    return images


def _is_system(name: str) -> bool:
    return name.startswith(".") or name in SYSTEM


def _check_classes(found: _Found, path: str) -> None:
    parts = sorted(name for name in found.classes if name.lower() in PARTS)
    if parts and len(parts) == len(found.classes):
        raise UserError("folder-parts", path=path, parts=parts, first=parts[0])
    empty = [name for name, files in found.classes.items() if not files]
    if empty:
        left = f" ({found.left})" if found.others else ""
        raise UserError("folder-class-empty", path=path, classes=_shown(map(repr, empty)), left=left)


def _check_sizes(path: str, files: list[Path], pictures: list[Picture]) -> None:
    sizes = [picture.pixels.shape[:2] for picture in pictures]
    usual = Counter(sizes).most_common(1)[0][0]
    odd = next((place for place, size in enumerate(sizes) if size != usual), None)
    if odd is not None:
        raise UserError(
            "folder-sizes",
            path=path,
            usual=_size(usual),
            fitting=sizes.count(usual),
            count=len(sizes),
            other=_size(sizes[odd]),
            file=files[odd],
        )


def _size(size: tuple[int, ...]) -> str:
    return f"{size[0]} x {size[1]}"


def _changes(files: list[Path], pictures: list[Picture]) -> list[str]:
    """Notes on converted colours and dropped alpha channels; empty texts do not apply."""
    grey = [file for file, picture in zip(files, pictures, strict=True) if picture.pixels.ndim == 2]
    transparent = [file for file, picture in zip(files, pictures, strict=True) if picture.transparent]
    return [
        f"{len(grey)} of {len(files)} files are grey, such as {grey[0].name}, and became RGB like the others"
        if 0 < len(grey) < len(files)
        else "",
        f"alpha is left out, and is not constant in {len(transparent)} of {len(files)} files, such as {transparent[0].name}: "
        "composite them first if the picture is in it"
        if transparent
        else "",
    ]


def _alike(pictures: list[Picture]) -> list[np.ndarray]:
    """All grey, or all RGB."""
    if len({picture.pixels.ndim for picture in pictures}) == 1:
        return [picture.pixels for picture in pictures]
    pixels = (picture.pixels for picture in pictures)
    return [np.repeat(part[:, :, None], 3, axis=2) if part.ndim == 2 else part for part in pixels]


def _tally(names: list[str]) -> str:
    """`.DS_Store (3), ._x.png`, the most frequent first."""
    return _shown(f"{name} ({count})" if count > 1 else name for name, count in Counter(names).most_common())


def _shown(names: Iterable[str]) -> str:
    """The first names, and the number of the others."""
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more
