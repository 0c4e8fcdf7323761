"""Results side by side: `bench compare` and `bench leaderboard` for results and records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.compare.compare import compare as compared
from bench.console.compare import comparison_text
from bench.errors import UserError
from bench.interface.report import Report
from bench.interface.result import Result
from bench.records.lookup import find_record
from bench.registry.registry import own_package
from bench.threat import ThreatModel

Runs = str | Path | Result
WIDTH = 120
"""Characters in a line of a leaderboard."""


def compare(a: Runs, b: Runs, *, results: str | Path = "results") -> Report:
    """Two runs paired on the same images, or the matching runs of two folders of results; one document per pair.

    Arguments:
        a: A result, the id or the folder of a run, or a folder of results.
        b: As for `a`.
        results: Folder of all records, in which ids are looked up.

    Raises:
        UserError: There is no such run, or the runs share no images.
    """
    first, second = (str(side.path if isinstance(side, Result) else side) for side in (a, b))
    found = compared(first, second, Path(results))
    return Report([pair.as_dict() for pair in found], "\n\n".join(map(comparison_text, found)))


def leaderboard(
    runs: Runs | Sequence[Runs] = "results",
    *,
    dataset: str | None = None,
    threat: str | None = None,
    against: str | None = None,
    require: Sequence[str] = (),
) -> Report:
    """Clean and robust accuracy of every defense, ranked; `.table` has a row per defense.

    Arguments:
        runs: Results; or folders of records, all of whose runs count; or ids of runs below `results`.
        dataset: Only this data set.
        threat: Only this threat.
        against: Defense that the others are tested against, by its name in the table; None for the first row.
        require: Classes of attacks that a row needs to be ranked; empty for all four, as in a terminal.

    Raises:
        UserError: No run fits.
    """
    sides = [runs] if isinstance(runs, str | Path | Result) else list(runs)
    if not sides:
        raise UserError("runs-none")
    level = None if threat is None else str(ThreatModel.parse(threat))
    classes = require or own_package("leaderboards.classes", "REQUIRED").REQUIRED
    boards = own_package("leaderboards.boards", "collect").collect(
        [_path(side) for side in sides], dataset=dataset, threat=level, against=against, required=classes
    )
    return Report(
        own_package("leaderboards.formats.documents", "documents").documents(boards),
        own_package("leaderboards", "as_text").as_text(boards, "md", width=WIDTH),
        own_package("leaderboards.formats.frames", "boards_as_frame").boards_as_frame(boards),
    )


def _path(run: Runs) -> Path:
    """The folder of a result, of a run or of records."""
    if isinstance(run, Result):
        return run.path
    return Path(run) if Path(run).is_dir() else find_record(Path("results"), str(run))
