"""A baseline on disk: records, and the reasons for which it was changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import structs

import bench
from bench.compare.pairs import Pair, pair_up
from bench.errors import UserError
from bench.figures.runs import Run
from bench.files.atomic import write_whole
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
    """Puts the results in the place of the baseline's runs, and keeps the reason; returns what changed, as phrases.

    Where there is no baseline yet, and no run is to be added, all results become one.

    Arguments:
        baseline: The folder.
        before: Its runs.
        after: The results.
        reason: Why.
        added: Runs that become rows of it.
        samples: Images to keep of each row, the first of the published order; None keeps all.

    Raises:
        UserError: No reason, no results, a run that is not complete, or one that lacks images of the baseline.
    """
    if not reason.strip():
        raise UserError(
            'expected --reason "..." with --update, got none; say why robustness changed, it is kept in the baseline'
        )
    known = {run.run_id for run in before}
    new = [run for run in (added if before or added else after) if run.run_id not in known]
    pairs = [*pair_up(before, after), *(Pair(run, run, []) for run in new)]
    if not added and not any(pair.after for pair in pairs):
        raise UserError(
            "expected results to make a baseline of, got none; make them with bench run, below the folder that --results names"
        )
    changed = [pair for pair in _closest(pairs) if _differs(pair, samples)]
    for pair in changed:
        _check_complete(pair, samples)
    shared = Counter(pair.name for pair in pairs)
    phrases = [_phrase(pair, samples, alone=shared[pair.name] == 1) for pair in changed]
    for pair in changed:
        old = None if _is_new(pair) else pair.before.path
        copy_record((pair.after or pair.before).path, baseline, replacing=old, samples=samples)
    if changed:
        _remember(baseline, reason.strip(), phrases)
    return phrases


def _closest(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs, without those whose result is another experiment than their row and stands nearer to another row."""
    nearest: dict[str, Pair] = {}
    for pair in sorted(pairs, key=_distance):
        if pair.after is not None:
            nearest.setdefault(pair.after.run_id, pair)
    return [pair for pair in pairs if pair.after is None or not pair.changed or nearest[pair.after.run_id] is pair]


def _distance(pair: Pair) -> tuple[int, int]:
    """How many things differ; of as many, the fewer the more values of arguments both have, under whatever name."""
    old, new = (
        Counter(str(value) for role in ("defense", "attack") for value in run.spec[role]["args"].values())
        for run in (pair.before, pair.after or pair.before)
    )
    return len(pair.changed), -(old & new).total()


def _remember(baseline: Path, reason: str, phrases: list[str]) -> None:
    entry = {"reason": reason, "purebench": bench.__version__, "changed": phrases}
    write_whole(baseline / HISTORY, json.dumps({"history": [*history(baseline), entry]}, indent=1) + "\n")


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


def _is_new(pair: Pair) -> bool:
    """Whether the run becomes a row that was none; else it stands against one."""
    return pair.after is pair.before


def _differs(pair: Pair, samples: int | None) -> bool:
    """Whether the baseline lacks the run, or anything but times is another."""
    if pair.after is None or _is_new(pair) or pair.changed or pair.before.run_id != pair.after.run_id:
        return pair.after is not None
    timeless = [
        [structs.replace(line, seconds=0.0, environment="", memory=None) for line in lines]
        for lines in (pair.before.lines, pair.after.lines[:samples])
    ]
    environments = [list(run.header["environments"].values()) for run in (pair.before, pair.after)]
    return timeless[0] != timeless[1] or environments[0] != environments[1]


def _check_complete(pair: Pair, samples: int | None) -> None:
    run, needed = pair.after, samples or len(pair.before)
    got = 0 if run is None or not run.sealed else len(run) if samples else len(pair.common)
    if got < needed:
        raise UserError(
            f"expected a complete run with {needed} images for {pair.name}, got {got} of them; make it with bench run, or add --run"
        )


def _phrase(pair: Pair, samples: int | None, *, alone: bool) -> str:
    """What changed in a row; one whose name others have too carries its id."""
    name = pair.name if alone else f"{pair.name} [{(pair.after or pair.before).run_id}]"
    if pair.after is None or _is_new(pair):
        return f"{name}: {_percent(pair.before, samples)} robust"
    what = f" ({'; '.join(pair.changed)})" if pair.changed else ""
    kept = min(len(pair.after), samples or len(pair.after))
    images = f", n = {len(pair.before)} to {kept}" if kept != len(pair.before) else ""
    failed = failed_checks(pair.after.header["checks"].get("claims", []))
    claims = f"; failed checks: {', '.join(failed)}" if failed else ""
    return f"{name}: {_percent(pair.before)} to {_percent(pair.after, samples)} robust{images}{what}{claims}"


def _percent(run: Run, samples: int | None = None) -> str:
    return f"{100 * run.shares()[:samples].mean():.1f} %"
