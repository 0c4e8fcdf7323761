"""Kills a command at random moments, repeats it until it ends, and compares its records with undisturbed ones.

    python tests/faults/kills.py --kills 100

Any command line that takes `--results FOLDER` and goes on where it stopped will do: `survive` takes one. What must be
equal is every byte of every file but timings, peak memory, and the hashes of the files that hold them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

GRACE = 10.0
"""Seconds within which a command ends after SIGTERM, and its processes after their driver."""
RAY_LINGERS = 150.0
EARLIEST = 0.3
"""Of the undisturbed time, before which little but Python starts."""
RUN = "run --defense tweedie -A steps=20 -n 120 --batch-size 16"
SUITE = """
samples = 60
defense = ["none", "denoise-once"]
attack = ["null", { name = "pgd-full", steps = 4, eot = 2, losses = ["cw"] }]
"""
RAY = "--engine ray --workers 2"
PROCESSES = "--workers 2"
BASELINE = Path(__file__).parent.parent / "baseline"
CHECKED = ("196683851adf", "458dfb8c0798", "90d9196f4609")
"""Rows of the project's baseline that take seconds: none and tweedie under PGD, tweedie unattacked."""


@dataclass
class Report:
    """What a series of kills showed."""

    kills: int = 0
    rounds: int = 0
    codes: list[int] = field(default_factory=list)
    slowest: float = 0.0


def survive(
    words: Sequence[str],
    folder: Path,
    *,
    kills: int,
    key: int,
    ways: Sequence[str] = ("KILL", "TERM"),
    least: float = EARLIEST,
    linger: float = GRACE,
) -> Report:
    """Kills `bench WORDS --results ...` so many times; raises AssertionError where a repetition ends otherwise.

    Arguments:
        words: The command line after `bench`, without `--results`.
        folder: An empty folder to work in.
        kills: How many kills, over as many rounds from an empty results folder as they take.
        key: Of the generator of the moments.
        ways: Signals in turn to the driver, or `WORKER` to kill one of its processes.
        least: Share of the undisturbed time before which nothing is killed.
        linger: Seconds that other processes may outlive their driver; Ray's agents take a minute, its workers none.
    """
    random = np.random.Generator(np.random.Philox(key=key))
    started = time.monotonic()
    finish(words, folder / "calm")
    whole, calm, report = time.monotonic() - started, records(folder / "calm"), Report()
    while report.kills < kills:
        report.rounds += 1
        results = folder / f"round-{report.rounds}"
        while report.kills < kills:
            way = ways[report.kills % len(ways)]
            code = disturb(words, results, float(random.uniform(least, 1)) * whole, way, report, linger)
            report.codes.append(code)
            if code == 0:
                break
            report.kills += 1
        finish(words, results)
        assert records(results) == calm, f"round {report.rounds}: the records differ"
        left = [str(file) for file in results.rglob("*.tmp")]
        assert not left, f"round {report.rounds}: left {left}"
        shutil.rmtree(results)
    return report


def disturb(words: Sequence[str], results: Path, moment: float, way: str, report: Report, linger: float = GRACE) -> int:
    """Starts the command, kills it at a moment, and waits for its end; 0 if it had ended by itself."""
    process = start(words, results)
    try:
        process.wait(timeout=moment)
        return process.returncode
    except subprocess.TimeoutExpired:
        pass
    if way == "WORKER":
        victims = children(process.pid)
        if victims:
            os.kill(victims[-1], signal.SIGKILL)
        assert process.wait(timeout=600) == 0, process.stderr.read().decode()
        report.kills += bool(victims)
        return 0
    process.send_signal(getattr(signal, f"SIG{way}"))
    asked = time.monotonic()
    process.wait(timeout=GRACE + 5)
    took = time.monotonic() - asked
    report.slowest = max(report.slowest, took)
    said = process.stderr.read().decode()
    begun = process.returncode != -signal.SIGTERM or said  # else it came before the first line of our code
    if way == "TERM" and process.returncode != 0 and begun:
        assert took < GRACE, f"took {took:.1f} s to end"
        assert process.returncode == 3, (process.returncode, said)
        assert "resume with: bench " in said, said
    vanish(process.pid, linger)
    return process.returncode


def start(words: Sequence[str], results: Path) -> subprocess.Popen[bytes]:
    """The command, in a session of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(results.parent / "cache")}
    command = [sys.executable, "-m", "bench", *words, "--results", str(results), "--quiet"]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def finish(words: Sequence[str], results: Path) -> None:
    """Runs the command to its end."""
    process = start(words, results)
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()


def records(results: Path) -> dict[str, bytes]:
    """Every file below a results folder, without what differs between two undisturbed runs."""
    files = {
        file.relative_to(results).as_posix(): file.read_bytes() for file in sorted(results.rglob("*")) if file.is_file()
    }
    return {name: comparable(name, content) for name, content in files.items()}


def comparable(name: str, content: bytes) -> bytes:
    """A file's content without timings, memory, and the hash of the file that holds them."""
    if name.endswith("samples.jsonl"):
        return re.sub(rb'"(seconds|memory)":[0-9.e-]+', b"", content)
    return re.sub(rb"\w+  samples.jsonl", b"", content) if name.endswith("SHA256SUMS") else content


def vanish(session: int, linger: float) -> None:
    """Waits until no process of a session is left."""
    until = time.monotonic() + linger
    while members(session):
        assert time.monotonic() < until, f"processes {members(session)} outlived their driver"
        time.sleep(0.1)


def members(session: int) -> list[int]:
    """The living processes of a session."""
    return [number for number, parts in _processes() if int(parts[3]) == session and parts[0] != "Z"]


def children(parent: int) -> list[int]:
    """The living children of a process."""
    return [number for number, parts in _processes() if int(parts[1]) == parent and parts[0] != "Z"]


def _processes() -> list[tuple[int, list[str]]]:
    """Numbers of all processes, and from /proc: state, parent, group, session."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found.append((int(folder.name), (folder / "stat").read_text().rpartition(")")[2].split()))
            except OSError:
                continue
    return found


def baseline_of(folder: Path) -> Path:
    """A baseline of the rows that take seconds."""
    (source,) = (BASELINE / "fashion-mnist").iterdir()
    for run in CHECKED:
        shutil.copytree(source / run, folder / source.parent.name / source.name / run)
    return folder


def main() -> None:
    """Spreads kills over `run`, `suite` and `check`, in one process and in several."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--ray", action="store_true", help="on Ray instead, a tenth of the kills")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "suite.toml").write_text(SUITE)
        run, suite = RUN.split(), ["suite", str(root / "suite.toml")]
        check = ["check", "--baseline", str(baseline_of(root / "baseline")), "--run"]
        series = [
            ("run", run, 0.3, ("KILL", "TERM")),
            ("suite", suite, 0.3, ("KILL", "TERM")),
            ("check", check, 0.1, ("KILL", "TERM")),
            ("run, 2 processes", [*run, *PROCESSES.split()], 0.1, ("KILL", "TERM", "WORKER")),
            ("suite, 2 processes", [*suite, *PROCESSES.split()], 0.2, ("KILL", "TERM", "WORKER")),
        ]
        if asked.ray:
            series = [("suite, Ray", [*suite, *RAY.split()], 0.1, ("KILL", "TERM"))]
        for number, (name, words, share, ways) in enumerate(series):
            place = root / str(number)
            place.mkdir()
            kills, linger = max(1, round(share * asked.kills)), RAY_LINGERS if asked.ray else GRACE
            report = survive(words, place, kills=kills, key=number, ways=ways, linger=linger)
            print(
                f"{name}: {report.kills} kills in {report.rounds} rounds, all records equal; slowest end after SIGTERM or SIGKILL {report.slowest:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
