"""A folder of results as one zip file."""

import shutil
import zipfile
from pathlib import Path

import pytest
from refused import refused

from bench.cli.main import main
from bench.records.archive import pack_results, unpacked
from bench.records.lookup import record_paths

REFERENCE = Path(__file__).parent.parent.parent / "results" / "fashion-mnist-standard"
RECORD = "fashion-mnist/linf-20-255/71630ed2925f"


@pytest.fixture
def archive(tmp_path):
    shutil.copytree(REFERENCE / RECORD, tmp_path / "some" / RECORD)
    pack_results(tmp_path / "some", tmp_path / "some.zip")
    shutil.rmtree(tmp_path / "some")
    return tmp_path / "some.zip"


def contents(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("named", ["some", "some.zip"])
def test_a_folder_is_unpacked_when_it_is_first_read(archive, named):
    paths = record_paths(archive.with_name(named))
    assert paths == [archive.with_name("some") / RECORD]
    assert contents(paths[0]) == contents(REFERENCE / RECORD)
    assert not list(archive.parent.glob("*.tmp"))


def test_the_same_records_give_the_same_bytes(archive):
    before = archive.read_bytes()
    pack_results(unpacked(archive), archive)
    assert archive.read_bytes() == before


def test_a_folder_that_was_added_to_is_left_as_it_is(archive):
    folder = unpacked(archive)
    shutil.copytree(folder / RECORD, folder / "fashion-mnist/linf-20-255/other")
    assert len(record_paths(folder)) == 2


def test_another_version_of_the_archive_is_noticed(archive):
    folder = unpacked(archive)
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("a/b/c/run.json", "{}")
    with refused("archive-other-version"):
        unpacked(folder)


@pytest.mark.parametrize("name", ["../evil/b/c/run.json", "a/b/c/d.py", "a/b/run.json"])
def test_other_files_are_refused_and_leave_nothing(archive, name):
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(name, "{}")
    with refused("archive-names"):
        unpacked(archive)
    assert not archive.with_name("some").exists()
    assert not list(archive.parent.glob("*.tmp"))


def test_a_damaged_archive_is_a_users_error(tmp_path, capsys):
    (tmp_path / "some.zip").write_bytes(b"no zip")
    assert main(["leaderboard", "--results", str(tmp_path / "some")]) == 2
