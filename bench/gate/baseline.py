"""A baseline on disk: its records, and the history of its changes with their reasons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import structs

import bench
from bench.compare.pairs import Pair, pair_up
from bench.errors import UserError
from bench.figures.runs import Run
from bench.files.atomic import write_whole
from bench.files.documents import read_json
from bench.records.claim import failed_checks
from bench.records.copy import copy_record

HISTORY = "baseline.json"


def update(
    baseline: Path,
    before: Sequence[Run],
    after: Sequence[Run],
    reason: str,
    *,
    added: Sequence[Run] = (),
    samples: int | None = None,
) -> list[str]:
    """Replaces the baseline's runs by the results and keeps the reason; returns the changes, as phrases.

    Without a baseline, and without runs to add, all results become the baseline.

    Arguments:
        baseline: The baseline's folder.
        before: The baseline's runs.
        after: The results.
        reason: The reason for the change.
        added: Runs to add as new rows.
        samples: The number of first images to keep of each row; None keeps all.

    Raises:
        UserError: No reason, no results, a run that is not complete, or one that lacks images of the baseline.
    """
    if not reason.strip():
        raise UserError("gate-reason-missing")
    ids = {run.run_id for run in before}
    new = [run for run in (added if before or added else after) if run.run_id not in ids]
    pairs = [*pair_up(before, after), *(Pair(run, run, []) for run in new)]
    if not added and not any(pair.after for pair in pairs):
        raise UserError("gate-results-missing")
    changed = [pair for pair in _nearest(pairs) if _differs(pair, samples)]
    for pair in changed:
        _check_complete(pair, samples)
    phrases = [_phrase(pair, samples) for pair in changed]
    for pair in changed:
        old = None if _is_new(pair) else pair.before.path
        copy_record((pair.after or pair.before).path, baseline, replacing=old, samples=samples)
    if changed:
        _note(baseline / HISTORY, reason.strip(), phrases)
    return phrases


def _note(file: Path, reason: str, changed: list[str]) -> None:
    """Adds a change to the history of a baseline."""
    entry = {"reason": reason, "purebench": bench.__version__, "changed": changed}
    write_whole(file, (json.dumps({"history": [*_history(file), entry]}, indent=1) + "\n").encode())


def _history(file: Path) -> list[dict[str, Any]]:
    """The changes of a baseline, oldest first."""
    content = read_json(file) if file.exists() else {"history": []}
    if not isinstance(content, dict) or not isinstance(content.get("history"), list):
        raise UserError("gate-history-damaged", file=file)
    return content["history"]


def _nearest(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs, with each result only in its most similar row, so that it replaces no other."""
    nearest: dict[str, Pair] = {}
    for pair in sorted(pairs, key=lambda pair: len(pair.changed)):
        if pair.after is not None:
            nearest.setdefault(pair.after.run_id, pair)
    return list(nearest.values())


def _is_new(pair: Pair) -> bool:
    """Whether the run becomes a new row."""
    return pair.after is pair.before


def _differs(pair: Pair, samples: int | None) -> bool:
    """Whether the run is new, or anything but its times differs from the baseline."""
    if pair.after is None or _is_new(pair) or pair.changed or pair.before.run_id != pair.after.run_id:
        return pair.after is not None
    before, after = (
        [structs.replace(line, seconds=0.0, environment="", memory=None) for line in lines]
        for lines in (pair.before.lines, pair.after.lines[:samples])
    )
    environments = [list(run.header.environments.values()) for run in (pair.before, pair.after)]
    return before != after or environments[0] != environments[1]


def _check_complete(pair: Pair, samples: int | None) -> None:
    run, needed = pair.after, samples or len(pair.before)
    got = 0 if run is None or not run.sealed else len(run) if samples else len(pair.common)
    if got < needed:
        raise UserError("gate-run-incomplete", needed=needed, pair=pair.name, got=got)


def _phrase(pair: Pair, samples: int | None) -> str:
    """The change of a row."""
    run = pair.after or pair.before
    old = "" if _is_new(pair) else f"{_percent(pair.before)} to "
    failed = failed_checks(run.header.checks)
    more = [*pair.changed, *(f"failed check: {check}" for check in failed)]
    return f"{pair.name} [{run.run_id}]: {old}{_percent(run, samples)} robust" + (
        f" ({'; '.join(more)})" if more else ""
    )


def _percent(run: Run, samples: int | None = None) -> str:
    return f"{100 * run.shares()[:samples].mean():.1f} %"
