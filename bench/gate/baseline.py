"""A baseline on disk: records, and the reasons for which it was changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bench
from bench.errors import UserError
from bench.gate.pairs import Pair, pair_up
from bench.records import copy_record, read_record, write_whole
from bench.runs import Run

HISTORY = "baseline.json"


def update(baseline: Path, before: Sequence[Run], after: Sequence[Run], reason: str) -> list[str]:
    """Puts the results in the place of the baseline's runs, and keeps the reason; returns what changed, as phrases.

    Where there is no baseline yet, all results become one.

    Raises:
        UserError: No reason, no results, a run that is not complete, or one that lacks images of the baseline.
    """
    if not reason.strip():
        raise UserError(
            'expected --reason "..." with --update, got none; say why robustness changed, it is kept in the baseline'
        )
    pairs = pair_up(before, after) if before else [Pair(run, run, []) for run in after]
    changed = [pair for pair in pairs if pair.after is not None and (not before or _differs(pair))]
    if not pairs or not any(pair.after for pair in pairs):
        raise UserError("expected results to make a baseline of, got none; make them: bench check --run, or bench run")
    for pair in changed:
        _check_complete(pair)
    phrases = [_phrase(pair, first=not before) for pair in changed]
    for pair in changed:
        new = pair.after or pair.before
        copy_record(new.path, baseline, replacing=pair.before.path if before else None)
    entry = {"reason": reason.strip(), "purebench": bench.__version__, "changed": phrases}
    write_whole(baseline / HISTORY, (json.dumps({"history": [*history(baseline), entry]}, indent=1) + "\n").encode())
    return phrases


def history(baseline: Path) -> list[dict[str, Any]]:
    """The reasons for which a baseline was changed, oldest first.

    Raises:
        UserError: The file is damaged.
    """
    file = baseline / HISTORY
    if not file.exists():
        return []
    try:
        return list(json.loads(file.read_bytes())["history"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"expected the history of a baseline in {file}, got: {error}; restore the file") from error


def _differs(pair: Pair) -> bool:
    """Whether anything but times differs."""
    if pair.after is None or pair.changed or pair.before.run_id != pair.after.run_id:
        return pair.after is not None
    timeless = [
        [line.model_dump(exclude={"seconds", "environment"}) for line in run.lines] for run in (pair.before, pair.after)
    ]
    environments = [list(run.header["environments"].values()) for run in (pair.before, pair.after)]
    return timeless[0] != timeless[1] or environments[0] != environments[1]


def _check_complete(pair: Pair) -> None:
    run = pair.after
    if run is None or not run.sealed or not read_record(run.path).lines or len(pair.common) < len(pair.before):
        raise UserError(
            f"expected a complete run with all {len(pair.before)} images of the baseline for {pair.name}, got {len(pair.common)} of them; add --run"
        )


def _phrase(pair: Pair, *, first: bool) -> str:
    if first or pair.after is None:
        return f"{pair.name}: {_percent(pair.before)} robust"
    what = f" ({'; '.join(pair.changed)})" if pair.changed else ""
    return f"{pair.name}: {_percent(pair.before)} to {_percent(pair.after)} robust{what}"


def _percent(run: Run) -> str:
    return f"{100 * run.shares().mean():.1f} %"
