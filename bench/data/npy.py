"""Untrusted `.npz` files: the size of each array is checked before it is read."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from bench.errors import UserError
from bench.files.archive import check_sizes

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def check_arrays(path: Path) -> None:
    """Checks the header of each array against its size in the archive.

    Raises:
        UserError: A size is wrong, an array holds Python objects, or a member would unpack to far more than its size.
        OSError, ValueError, zipfile.BadZipFile: The file is no such archive.
    """
    with zipfile.ZipFile(path) as archive:
        check_sizes(path, archive.infolist())
        for member in archive.infolist():
            if member.filename.endswith(".npy"):
                _check(path, archive, member)


def _check(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in HEADERS:
            raise UserError("npy-version", path=path, version=version)
        shape, _, dtype = HEADERS[version](stream)
        if dtype.hasobject:
            raise UserError("npy-objects", path=path, member=member.filename)
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if min(shape, default=0) < 0 or stream.tell() + size != member.file_size:
            raise UserError("npy-size", size=size, member=member.filename, shape=shape, path=path, got=member.file_size)
