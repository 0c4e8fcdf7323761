"""Makes the runs that a baseline asks for, as their names and arguments stand for today."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bench.compare.pairs import row_name
from bench.figures.runs import Run, read_run
from bench.plan.plan import plan
from bench.plan.request import request_of
from bench.records.seal import SEAL
from bench.registry.registry import Registry
from bench.run.runner import Options, Reporter, record_path, run


def make_runs(
    before: Sequence[Run],
    results: Path,
    registry: Registry,
    report: Callable[[], AbstractContextManager[Reporter]],
    announce: Callable[[str], None],
    *,
    data_dir: Path | None = None,
    device: str = "auto",
) -> list[Run]:
    """One run for each of the baseline's, with its number of images and its batch size; what exists already is kept.

    What was left to a default is left to the default of today: a row guards what its name stands for.

    Arguments:
        before: The baseline's runs.
        results: Folder of all records.
        registry: What the names of the runs stand for.
        report: A new receiver of progress for each run.
        announce: Told which run is made, before it is.
        data_dir: Where data sets lie.
        device: As on the command line.
    """
    made = []
    for old in before:
        planned = plan(request_of(old.header, data_dir, defaults=True), registry)
        batch = next((part["batch_size"] for part in old.header["environments"].values()), None)
        options = Options(
            samples=len(old), results=results, device=device, batch_size=batch,
            evidence=any((old.path / "adversarial").glob("*.safetensors")),
        )  # fmt: skip
        path = record_path(planned, results)
        if not (path / SEAL).exists():
            announce(f"making {planned.spec.run_id}: {row_name(old)}")
        with report() as progress:
            run(planned, options, progress)
        made.append(read_run(path))
    return made
