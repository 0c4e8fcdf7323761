"""Throws random and damaged files at every reader; only the documented error may come back.

python tests/faults/fuzz.py --minutes 10
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bench.models.weights
from bench.console.run import summary_text
from bench.data.arrays import npz
from bench.errors import UserError
from bench.figures.summary import summarise
from bench.files.archive import extract
from bench.models.weights import read_weights
from bench.records.evidence import read_shard
from bench.records.lines import checked_line
from bench.records.record import read_record
from bench.records.writer import RecordWriter
from bench.suite.cells import cells_of
from bench.suite.file import read_suite

SPEC = {
    "defense": {"name": "none", "args": {"a": [1, "b"]}}, "attack": {"name": "null"}, "classifier": {"name": "cnn"},
    "score_model": None, "dataset": {"name": "fashion-mnist"}, "threat": "linf:8/255", "draws": 1, "seed": 0,
}  # fmt: skip
HEADER = {
    "format": 1, "run_id": "abc123", "spec": SPEC, "labels": {"defense": "none", "attack": "null"}, "notes": ["n"],
    "checks": {"deterministic": True, "gradient_error": 1e-9}, "environments": {"e": {"device": "cpu", "batch_size": 4}},
}  # fmt: skip
LINE = {
    "id": 0, "label": 1, "clean": [1], "adversarial": [2], "margin": [-0.5], "distance": 0.1, "cost": {"score_forward": 2},
    "seconds": 0.1, "environment": "e", "said": {"claimed": True, "flags": ["f"]}, "memory": 3,
}  # fmt: skip
SUITE = """
summary = "s"
samples = 4
defense = ["none", { name = "dpsam", rho = 0 }]
attack = "null"
threat = ["linf:8/255"]
[[exclude]]
defense = "dpsam*"
[[adjust]]
where = { defense = "none" }
attack_args = { steps = 3 }
"""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: Callable, whole: bytes) -> bytes:
    """Bytes with a few places changed, left out, or repeated."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(0, 8))
        content[place : place + length] = draw(st.binary(max_size=8) | st.just(bytes(content[place : place + 40])))
    return bytes(content)


@st.composite
def altered(draw: Callable, value: dict) -> dict:
    """A JSON object one of whose values, at any depth, is another, or is missing."""
    content = json.loads(json.dumps(value))
    here = content
    while True:
        keys = sorted(here) if isinstance(here, dict) else list(range(len(here)))
        key = draw(st.sampled_from(keys))
        if isinstance(here[key], dict | list) and here[key] and draw(st.booleans()):
            here = here[key]
            continue
        if isinstance(here, dict) and draw(st.booleans()):
            del here[key]
        else:
            here[key] = draw(JSON)
        return content


def dumped(values: st.SearchStrategy) -> st.SearchStrategy[bytes]:
    return values.map(lambda value: json.dumps(value).encode())


def documented(function: Callable[[], object]) -> None:
    """Calls a reader, which may return or raise `UserError` without what steers a terminal."""
    try:
        function()
    except UserError as error:
        assert "\x1b" not in str(error), str(error)  # noqa: PT017


class Targets:
    """Every reader, with what is thrown at it.

    Arguments:
        folder: An empty folder to work in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with RecordWriter(folder / "d" / "t" / "abc123", HEADER) as writer:
            writer.append(0, [checked_line(**LINE)], np.zeros((1, 1, 2, 2), np.float32))
        self.record = folder / "d" / "t" / "abc123"
        self.evidence = next(self.record.glob("adversarial/*"))
        np.savez_compressed(folder / "a.npz", images=np.zeros((4, 2, 2), np.uint8), labels=np.arange(4) % 2)
        with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(self.record.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(self.record))
        for suffix in (".safetensors", ".json"):
            source = (bench.models.weights.EMBEDDED / "fashion-mnist-classifier").with_suffix(suffix)
            shutil.copy(source, folder / f"w{suffix}")
        self.weights = (folder / "w.safetensors").read_bytes()
        self.card = json.loads((folder / "w.json").read_text())

    def all(self) -> dict[str, tuple[st.SearchStrategy, Callable[[bytes], None]]]:
        """For each target: the files, and what reads one."""
        header, line = json.dumps(HEADER).encode(), json.dumps(LINE).encode() + b"\n"
        bytes_of = {name: (self.folder / name).read_bytes() for name in ("a.npz", "a.zip")}
        evidence = self.evidence.read_bytes()
        return {
            "run.json": (dumped(altered(HEADER)) | damaged(header) | dumped(JSON) | st.binary(), self.read_header),
            "samples.jsonl": (
                st.lists(dumped(altered(LINE)) | damaged(line), max_size=3).map(
                    lambda lines: b"\n".join([*lines, b""])
                ),
                self.read_lines,
            ),
            "evidence": (damaged(evidence) | st.binary(), self.read_evidence),
            "npz": (damaged(bytes_of["a.npz"]) | st.binary(), self.read_npz),
            "zip": (damaged(bytes_of["a.zip"]) | st.binary(), self.read_zip),
            "weights": (damaged(self.weights[:2000]).map(lambda head: head + self.weights[2000:]), self.read_weights),
            "card": (dumped(altered(self.card)) | damaged(json.dumps(self.card).encode()), self.read_card),
            "suite": (damaged(SUITE.encode()) | st.text().map(str.encode), self.read_suite),
        }

    def read_header(self, content: bytes) -> None:
        """The header, and the summary of the record it stands over."""
        self._put(self.record / "run.json", content)
        documented(self._show)
        self._put(self.record / "run.json", json.dumps(HEADER).encode())

    def read_lines(self, content: bytes) -> None:
        """The lines, and their summary."""
        self._put(self.record / "samples.jsonl", content)
        documented(self._show)
        self._put(self.record / "samples.jsonl", json.dumps(LINE).encode() + b"\n")

    def read_evidence(self, content: bytes) -> None:
        """The adversarial images."""
        self._put(self.folder / "e.safetensors", content)
        documented(lambda: read_shard(self.folder / "e.safetensors"))

    def read_npz(self, content: bytes) -> None:
        """A data set."""
        self._put(self.folder / "f.npz", content)
        documented(lambda: npz(path=str(self.folder / "f.npz")))

    def read_zip(self, content: bytes) -> None:
        """An archive; nothing may appear outside its target."""
        self._put(self.folder / "f.zip", content)
        before = set(self.folder.iterdir())
        documented(lambda: extract(self.folder / "f.zip", self.folder / "target"))
        assert set(self.folder.iterdir()) - before <= {self.folder / "target"}
        shutil.rmtree(self.folder / "target", ignore_errors=True)

    def read_weights(self, content: bytes) -> None:
        """Weights whose card vouches for them."""
        self._put(self.folder / "w.safetensors", content)
        card = {**self.card, "sha256": hashlib.sha256(content).hexdigest()}
        self._put(self.folder / "w.json", json.dumps(card).encode())
        documented(lambda: read_weights(self.folder / "w.safetensors"))

    def read_card(self, content: bytes) -> None:
        """A card."""
        self._put(self.folder / "w.safetensors", self.weights)
        self._put(self.folder / "w.json", content)
        documented(lambda: read_weights(self.folder / "w.safetensors"))

    def read_suite(self, content: bytes) -> None:
        """A suite, and its cells."""
        file = self.folder / "s.toml"
        self._put(file, content)
        documented(lambda: [cell.label for cell in cells_of(read_suite(file), file)])

    def _show(self) -> None:
        record = read_record(self.record)
        if record.lines:
            summary_text(summarise(record, record.lines), record.header.labels.model_dump())

    @staticmethod
    def _put(file: Path, content: bytes) -> None:
        file.write_bytes(content)


def fuzz(targets: Targets, name: str, examples: int, *, same: bool) -> None:
    """Runs one target on so many files.

    Arguments:
        targets: The readers.
        name: Which.
        examples: How many files.
        same: Whether they are the same every time.
    """
    files, read = targets.all()[name]

    @settings(
        max_examples=examples, deadline=None, derandomize=same, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(files)
    def one(content: bytes) -> None:
        read(content)

    one()


def main() -> None:
    """Goes round the targets until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    until, counts = time.monotonic() + 60 * parser.parse_args().minutes, {}
    with tempfile.TemporaryDirectory() as folder:
        targets = Targets(Path(folder))
        while time.monotonic() < until:
            for name in targets.all():
                fuzz(targets, name, 500, same=False)
                counts[name] = counts.get(name, 0) + 500
    print(f"only documented errors: {counts}")


if __name__ == "__main__":
    main()
