"""A file is whole or absent, whatever interrupts its writing."""

import errno
import os

import pytest
from refused import refused

from bench.errors import InterruptedRunError, UserError
from bench.files.atomic import replacing, write_whole


@pytest.mark.parametrize(("content", "written"), [("é\n", b"\xc3\xa9\n"), (b"\x00\xff", b"\x00\xff")])
def test_text_and_bytes_are_written_and_folders_made(content, written, tmp_path):
    write_whole(tmp_path / "a" / "b" / "file", content)
    write_whole(tmp_path / "a" / "b" / "file", content)
    assert (tmp_path / "a" / "b" / "file").read_bytes() == written
    assert [*(tmp_path / "a" / "b").iterdir()] == [tmp_path / "a" / "b" / "file"]


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, InterruptedRunError, "disk-full"),
        (errno.EDQUOT, InterruptedRunError, "disk-full"),
        (errno.EIO, UserError, "file-unwritable"),
    ],
)
@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_a_write_that_fails_keeps_the_old_file(at, number, kind, code, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("old")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync") if at == "fsync" else (type(tmp_path), "replace")), fail)
        with refused(code, kind=kind):
            write_whole(tmp_path / "file", "new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("file", "old")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupted_block_keeps_the_old_file(error, tmp_path):
    (tmp_path / "file").write_text("old")

    def interrupted():
        with replacing(tmp_path / "file") as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("file", "old")]
