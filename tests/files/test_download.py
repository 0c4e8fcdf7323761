"""Downloads: checked, continued where they broke off, and one sentence for each thing that goes wrong."""

import hashlib
import logging

import pytest
from refused import refused

import bench.files.download
from bench.files.download import digest, fetch
from bench.files.lock import hold

CONTENT = bytes(range(256)) * 5000
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def server(file_server):
    (file_server.folder / "file").write_bytes(CONTENT)
    return file_server


def test_a_download_arrives_whole_and_is_not_repeated(server, tmp_path, caplog):
    caplog.set_level(logging.INFO, "bench")
    path = tmp_path / "deep" / "file.bin"
    assert fetch([f"{server.url}/file"], path, checksum=MD5) == path
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]
    assert fetch([f"{server.url}/file"], path, checksum=SHA256[:15]) == path
    assert server.asked == [None]
    assert [record.getMessage() for record in caplog.records][-1] == "file.bin: 1.3 MB of 1.3 MB"


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path, caplog):
    caplog.set_level(logging.INFO, "bench")
    path, server.limit = tmp_path / "file.bin", 500_000
    for kept in ("0.5", "1.0"):
        with refused("download-failed", match=rf"{kept} MB of 1\.3 MB; {kept} MB are kept"):
            fetch([f"{server.url}/file"], path, checksum=MD5)
        assert not path.exists()
    fetch([f"{server.url}/file"], path, checksum=MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=500000-", "bytes=1000000-"]
    assert "file.bin: continuing after 1.0 MB" in caplog.text


def test_a_server_that_cannot_continue_sends_all_of_it(server, tmp_path):
    path, server.continues = tmp_path / "file.bin", False
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    fetch([f"{server.url}/file"], path, checksum=MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_a_part_that_was_whole_is_only_checked(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert fetch([f"{server.url}/file"], tmp_path / "file.bin", checksum=MD5).read_bytes() == CONTENT


def test_the_next_mirror_continues_what_the_first_began(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:7])
    fetch([f"{server.url}/absent", f"{server.url}/file"], tmp_path / "file.bin", checksum=MD5)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == ["bytes=7-", "bytes=7-"]


def test_a_wrong_checksum_discards_the_download_and_a_retry_starts_again(server, tmp_path):
    (server.folder / "file").write_bytes(CONTENT[:-1] + b"x")
    with refused("download-changed", match=MD5[4:16]):
        fetch([f"{server.url}/file"], tmp_path / "file.bin", checksum=MD5)
    assert list(tmp_path.glob("file.bin*")) == []
    (server.folder / "file").write_bytes(CONTENT)
    assert fetch([f"{server.url}/file"], tmp_path / "file.bin", checksum=MD5).read_bytes() == CONTENT


def test_another_file_that_lies_there_is_kept_and_named(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(b"mine")
    with refused("download-changed"):
        fetch([f"{server.url}/file"], tmp_path / "file.bin", checksum=SHA256)
    assert (tmp_path / "file.bin").read_bytes() == b"mine"
    assert server.asked == []


def test_no_network_names_every_address_and_the_way_out(tmp_path):
    addresses = ["http://127.0.0.1:9/a", "http://127.0.0.1:9/b"]
    with refused("download-failed") as caught:
        fetch(addresses, tmp_path / "file.bin", checksum=MD5, advice="pass --data-dir FOLDER with it")
    for words in (*addresses, "pass --data-dir FOLDER with it"):
        assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").touch()
    with refused("download-unwritable"):
        fetch([server.url], tmp_path / "file" / "data", checksum=MD5)


def test_one_process_downloads_and_the_others_wait(server, tmp_path, monkeypatch, caplog):
    """The other one is another open file here: the kernel tells them apart as it does processes."""
    caplog.set_level(logging.INFO, logger="bench.download")
    path, part = tmp_path / "file.bin", tmp_path / "file.bin.part"
    other, waits = hold(part), []

    def other_goes_on(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            other.write(CONTENT)
            part.replace(path)
            other.close()

    monkeypatch.setattr(bench.files.download.time, "sleep", other_goes_on)
    assert fetch([f"{server.url}/file"], path, checksum=MD5).read_bytes() == CONTENT
    assert (len(waits), server.asked, list(tmp_path.glob("file.bin*"))) == (2, [], [path])
    assert caplog.text.count("file.bin: another process is downloading it; waiting") == 1


def test_digests(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest(tmp_path / "abc", "md5") == "900150983cd24fb0d6963f7d28e17f72"
    assert digest(tmp_path / "abc", "sha256").startswith("ba7816bf8f01cfea414140de5dae2223")
