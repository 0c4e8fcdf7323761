"""What lies on disk after any moment of a kill, and what is refused on reading."""

import errno
import fcntl
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import asdict
from refused import refused
from safetensors.numpy import load_file

import bench.files.lock
import bench.records.writer
from bench.errors import BusyError, InterruptedRunError
from bench.files.lock import hold, in_place
from bench.records.header import FORMAT
from bench.records.held import Held
from bench.records.lines import checked_line, encoded
from bench.records.lookup import find_record, record_paths, results_of
from bench.records.record import read_record
from bench.records.writer import RecordWriter

SPEC = {
    "defense": {"name": "none"}, "attack": {"name": "null"}, "classifier": {"name": "cnn"}, "score_model": None,
    "dataset": {"name": "fashion-mnist"}, "threat": "linf:8/255", "draws": 1, "seed": 0,
}  # fmt: skip
HEADER = {
    "format": FORMAT, "run_id": "abc123", "spec": SPEC, "labels": {"defense": "none", "attack": "null"}, "checks": {},
    "environments": {},
}  # fmt: skip


def line(sample, **changes):
    values = {
        "id": sample, "label": 3, "clean": [3], "adversarial": [5], "margin": [-0.5], "distance": 0.03,
        "cost": {"classifier_forward": 2}, "seconds": 0.1, "environment": "e",
    }  # fmt: skip
    return checked_line(**(values | changes))


def images(*values):
    return np.stack([np.full((1, 2, 2), value, np.float32) for value in values])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fashion-mnist" / "linf-8-255" / "abc123"


def write(path, *samples):
    with RecordWriter(path, HEADER) as writer:
        writer.append(0, [line(sample) for sample in samples], None)


def test_what_was_appended_is_read(path):
    with RecordWriter(path, HEADER) as writer:
        writer.add_environment("e", {"device": "cpu"})
        writer.append(0, [line(4), line(2)], None)
        writer.append(1, [line(9)], None)
        assert writer.finished == {2, 4, 9}
    record = read_record(path)
    assert record.lines == [line(4), line(2), line(9)]
    assert record.header.document == HEADER | {"environments": {"e": {"device": "cpu"}}}
    assert (record.run_id, record.sealed) == ("abc123", False)


def test_one_json_object_a_line(path):
    write(path, 4)
    assert json.loads((path / "samples.jsonl").read_text()) == {
        key: value for key, value in asdict(line(4)).items() if value is not None
    }


def test_a_writer_goes_on(path):
    write(path, 1)
    with RecordWriter(path, HEADER | {"checks": {"late": True}}) as writer:
        assert writer.header.document == HEADER
        assert writer.finished == {1}
        writer.append(0, [line(2)], None)
    assert [line.id for line in read_record(path).lines] == [1, 2]


def test_a_torn_last_line_is_dropped(path):
    write(path, 1, 2)
    whole = (path / "samples.jsonl").read_bytes()
    (path / "samples.jsonl").write_bytes(whole[:-5])
    assert [line.id for line in read_record(path).lines] == [1]
    write(path, 2)
    assert (path / "samples.jsonl").read_bytes() == whole


@pytest.mark.parametrize("damage", ["{}", "not json", "", '{"id": 2'])
def test_a_damaged_line_inside_is_an_error(path, damage):
    write(path, 1, 2, 3)
    lines = (path / "samples.jsonl").read_text().splitlines()
    (path / "samples.jsonl").write_text("\n".join([lines[0], damage, lines[2]]) + "\n")
    with refused("record-line-damaged", match="line 2"):
        read_record(path)


def test_an_image_twice_is_an_error(path):
    write(path, 1, 2)
    with open(path / "samples.jsonl", "a") as file:
        file.write(encoded(line(1)).decode())
    with refused("record-id-repeated", match="id 1 again in line 3"):
        read_record(path)


def test_a_second_writer_is_refused(path):
    with RecordWriter(path, HEADER):
        with refused("record-busy"):
            RecordWriter(path, HEADER)
        read_record(path)
    RecordWriter(path, HEADER).__exit__()


def test_another_run_is_refused_and_the_record_freed(path):
    write(path, 1)
    with refused("record-other-run") as caught:
        RecordWriter(path, HEADER | {"run_id": "other"})
    with RecordWriter(path, HEADER) as writer:
        assert writer.finished == {1}
    assert caught.value.exit_code == 2  # the error was alive all along, and with it what its traceback holds


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"format": 99}', "record-format"),
        ("{}", "record-format"),
        ("[1]", "record-format"),
        (f'{{"format": {FORMAT}, "run_id": "a"}}', "record-keys-missing"),
        ('{"format": ', "document-damaged"),
    ],
)
def test_headers_that_cannot_be_read(path, content, code):
    path.mkdir(parents=True)
    (path / "run.json").write_text(content)
    with refused(code):
        read_record(path)
    with refused(code):
        RecordWriter(path, HEADER)


def test_no_record(tmp_path):
    with refused("record-missing"):
        read_record(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with refused("record-unwritable"):
        RecordWriter(tmp_path / "file" / "run", HEADER)


def test_the_seal_covers_every_file(path):
    with RecordWriter(path, HEADER) as writer:
        writer.append(0, [line(1)], images(0.5))
        writer.seal()
    sums = dict(reversed(row.split("  ")) for row in (path / "SHA256SUMS").read_text().splitlines())
    assert list(sums) == ["adversarial/00000.safetensors", "run.json", "samples.jsonl"]
    for name, digest in sums.items():
        assert hashlib.sha256((path / name).read_bytes()).hexdigest() == digest
    assert read_record(path).sealed


@pytest.mark.parametrize(
    "change", [lambda w: w.append(0, [line(2)], None), lambda w: w.add_environment("f", {"device": "cuda"})]
)
def test_a_change_breaks_the_seal(path, change):
    write(path, 1)
    with RecordWriter(path, HEADER) as writer:
        writer.seal()
        change(writer)
        assert not read_record(path).sealed
        writer.seal()
    assert read_record(path).sealed


def test_evidence_lies_in_the_order_of_the_lines(path):
    with RecordWriter(path, HEADER) as writer:
        writer.append(3, [line(8), line(6)], images(0.25, 0.75))
        writer.append(3, [line(7)], images(0.5))
    stored = load_file(path / "adversarial" / "00003.safetensors")
    assert stored["ids"].tolist() == [8, 6, 7]
    assert stored["images"][:, 0, 0, 0].tolist() == [0.25, 0.75, 0.5]


def test_evidence_without_a_line_is_replaced(path, monkeypatch):
    with RecordWriter(path, HEADER) as writer:
        writer.append(0, [line(1)], images(0.25))
        with monkeypatch.context() as patch:
            patch.setattr(bench.records.writer, "encoded", lambda line: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                writer.append(0, [line(2)], images(0.5))
    with RecordWriter(path, HEADER) as writer:
        writer.append(0, [line(2)], images(0.75))
    stored = load_file(path / "adversarial" / "00000.safetensors")
    assert stored["ids"].tolist() == [1, 2]
    assert stored["images"][:, 0, 0, 0].tolist() == [0.25, 0.75]


@pytest.mark.parametrize("evidence", [None, images(0.5)])
def test_a_full_disk_keeps_the_earlier_lines(path, monkeypatch, evidence):
    with RecordWriter(path, HEADER) as writer:
        writer.append(0, [line(1)], images(0.25))

        def full(_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with refused("disk-full", kind=InterruptedRunError):
            writer.append(0, [line(2)], evidence)
        assert writer.finished == {1}
        monkeypatch.undo()
    assert [line.id for line in read_record(path).lines] == [1]
    assert load_file(path / "adversarial" / "00000.safetensors")["ids"].tolist() == [1]
    assert not list(path.rglob("*.tmp"))


def test_half_a_write_is_taken_back(path):
    with RecordWriter(path, HEADER) as writer:
        writer.append(0, [line(1)], None)
        before, whole = (path / "samples.jsonl").read_bytes(), writer._held.file

        class Half:
            def write(self, text):
                return whole.write(text[: len(text) // 2])

            def __getattr__(self, name):
                return getattr(whole, name)

        writer._held.file = Half()
        with refused("disk-full", kind=InterruptedRunError):
            writer.append(0, [line(2), line(3)], None)
        assert (path / "samples.jsonl").read_bytes() == before


def test_another_write_error_is_the_users(path, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    with RecordWriter(path, HEADER) as writer:
        monkeypatch.setattr(os, "fsync", fail)
        with refused("file-unwritable"):
            writer.append(0, [line(1)], None)


@pytest.fixture
def three(tmp_path):
    """A results folder with three runs."""
    for dataset, threat, run in (("a", "linf-8-255", "abc123"), ("a", "l2-0.5", "abd456"), ("b", "l2-0.5", "fff789")):
        RecordWriter(tmp_path / dataset / threat / run, HEADER).__exit__()
    return tmp_path


def test_record_paths(three):
    assert [path.name for path in record_paths(three)] == ["abd456", "abc123", "fff789"]


@pytest.mark.parametrize("folder", ["r", "r/a/t", "r/a/t/abc123"])
def test_the_results_folder_of_a_record_wherever_it_is_named_from(folder, tmp_path, monkeypatch):
    record = tmp_path / "r" / "a" / "t" / "abc123"
    record.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / folder)
    assert results_of(Path(os.path.relpath(record))).resolve() == tmp_path / "r"


def test_a_relative_path_gives_a_relative_folder_of_results():
    assert results_of(Path("r/a/t/abc123")) == Path("r")
    assert results_of(Path("a/t/abc123")) == Path()


@pytest.mark.parametrize("run", ["abc", "abc123"])
def test_found_by_id_or_prefix(three, run):
    assert find_record(three, run) == three / "a" / "linf-8-255" / "abc123"


def test_found_by_folder(three, tmp_path):
    folder = three / "b" / "l2-0.5" / "fff789"
    assert find_record(tmp_path / "elsewhere", str(folder)) == folder


@pytest.mark.parametrize(
    ("run", "code", "ids"),
    [
        ("ab", "record-ambiguous", "2 of them: abd456, abc123;"),
        ("abcx", "record-misspelt", "near it: abc123$"),
        ("fff7980", "record-misspelt", "near it: fff789$"),
        ("000", "record-unknown", r"4 records: abd456, abc123, ccc111, \.\.\.;"),
        ("", "record-unknown", r"4 records: abd456, abc123, ccc111, \.\.\.;"),
    ],
)
def test_what_fits_no_record_or_several_is_told_what_is_there(three, run, code, ids):
    RecordWriter(three / "a" / "linf-8-255" / "ccc111", HEADER).__exit__()
    with refused(code, match=ids):
        find_record(three, run)


def test_where_no_record_is(tmp_path):
    with refused("record-results-empty"):
        find_record(tmp_path, "abc")


@pytest.mark.parametrize("run", ["nosuch.zip", "nosuch/abc123", "./abc123"])
def test_what_looks_like_a_file_and_is_none(three, run):
    with refused("record-path-missing"):
        find_record(three, run)


def test_a_folder_without_a_record(three, monkeypatch):
    monkeypatch.chdir(three)
    with refused("record-folder-without-run"):
        find_record(three, "b")
    (three / "abc").mkdir()
    assert find_record(three, "abc").name == "abc123"  # an id first, whatever lies around


def test_the_seal_brings_the_lines_into_the_data_sets_order(path):
    with RecordWriter(path, HEADER) as writer:
        writer.append(1, [line(9), line(7)], None)
        writer.append(0, [line(2), line(4)], images(0.25, 0.75))
        writer.seal([4, 2, 7])
        assert [line.id for line in writer.lines] == [4, 2, 7, 9]
        with refused("record-busy", kind=BusyError):
            RecordWriter(path, HEADER)
        writer.append(2, [line(5)], None)
    record = read_record(path)
    assert [line.id for line in record.lines] == [4, 2, 7, 9, 5]
    assert record.lines[0] == line(4)
    assert not list(path.rglob("*.tmp"))
    write(path, 6)
    assert [line.id for line in read_record(path).lines][-1] == 6


def test_a_sort_that_fails_keeps_the_lines(path, monkeypatch):
    with RecordWriter(path, HEADER) as writer:
        writer.append(1, [line(9)], None)
        writer.append(0, [line(2)], None)
        before = (path / "samples.jsonl").read_bytes()

        def full(_):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with refused("disk-full", kind=InterruptedRunError):
                writer.seal([2, 9])
        assert (path / "samples.jsonl").read_bytes() == before
        assert not list(path.rglob("*.tmp"))
        writer.seal([2, 9])
    assert [line.id for line in read_record(path).lines] == [2, 9]


def test_what_a_killed_process_left_is_cleared_away(path):
    with RecordWriter(path, HEADER) as writer:
        writer.append(0, [line(1)], images(0.25))
    for name in ("samples.jsonl.tmp", "run.json.tmp", "adversarial/00001.safetensors.tmp"):
        (path / name).write_text("half")
    write(path, 2)
    assert not list(path.rglob("*.tmp"))


def test_a_folder_that_is_held_is_refused_until_it_is_released(path):
    held = Held(path)
    with refused("record-busy", kind=BusyError):
        Held(path)
    with RecordWriter(held, HEADER) as writer:
        writer.append(0, [line(1)], None)
        with refused("record-busy", kind=BusyError):
            Held(path)
    again = Held(path)
    assert again.begun
    again.release()
    assert [line.id for line in read_record(path).lines] == [1]


def test_a_record_that_is_never_begun_leaves_nothing(path, tmp_path):
    held = Held(path)
    assert not held.begun
    held.release()
    held.release()
    assert list(tmp_path.iterdir()) == []


def test_lines_without_a_header_are_kept(path):
    write(path, 1)
    (path / "run.json").unlink()
    Held(path).release()
    assert (path / "samples.jsonl").exists()


def test_an_interrupted_write_leaves_no_half_file(path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    with RecordWriter(path, HEADER) as writer, monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            writer.append(0, [line(1)], images(0.5))
    assert not list(path.rglob("*.tmp"))


def test_a_lock_waits_for_no_one_and_ends_with_its_file(tmp_path):
    first = hold(tmp_path / "file")
    assert hold(tmp_path / "file") is None
    (tmp_path / "file").rename(tmp_path / "moved")
    assert not in_place(first, tmp_path / "file")
    second = hold(tmp_path / "file")
    assert in_place(second, tmp_path / "file")
    second.close()
    assert hold(tmp_path / "file") is not None


def test_a_file_that_was_replaced_while_it_was_opened_is_opened_again(tmp_path, monkeypatch):
    target, flock = tmp_path / "file", fcntl.flock
    target.write_text("old")

    def replaced(file, how):
        flock(file, how)
        if target.read_text() == "old":
            (tmp_path / "new").write_text("new")
            (tmp_path / "new").replace(target)

    monkeypatch.setattr(bench.files.lock.fcntl, "flock", replaced)
    with hold(target) as file:
        assert in_place(file, target)
        assert target.read_text() == "new"
