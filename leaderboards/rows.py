"""Records to rows: one per run, ranked by the worst case over the attacks on the same defense."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.records import Record, read_record, record_paths
from bench.spec import canonical
from bench.stats import Interval, holm, mean_share, paired_p
from bench.summary import CLEAN, EXACT, certified_radius, shares

MANY = 256
"""Below this number of images a row is flagged: its half-width exceeds 6 points."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run.

    Arguments:
        defense: Name, and the arguments that differ from its defaults.
        attack: Likewise.
        dataset: Name of the data set.
        threat: Threat model.
        n: Number of images.
        clean: Clean accuracy.
        robust: Robust accuracy under this attack.
        worst_case: Accuracy under the worst of the defense's attacks, per image, on the images all of them have.
        believed: Whether an audit found the number trustworthy; None if there was none.
        flags: What a reader should know: `partial`, `small n`, `gradient not exact`, `inexact gradient mode`.
        run_ids: The record behind the row, then those behind its worst case.
        paired_p: p-value, Holm-corrected over the board, that the worst case equals the reference defense's; None for
            the reference itself.
        certified: Average certified l2 radius, pixel units; None for a defense without a certificate.
    """

    defense: str
    attack: str
    dataset: str
    threat: str
    n: int
    clean: Interval
    robust: Interval
    worst_case: Interval
    believed: bool | None
    flags: list[str]
    run_ids: list[str]
    paired_p: float | None = None
    certified: float | None = None


@dataclass(frozen=True)
class Board:
    """All rows of one data set, threat and classifier.

    Arguments:
        dataset: Name of the data set.
        threat: Threat model.
        reference: The defense that the paired tests compare with.
        rows: Best worst case first.
    """

    dataset: str
    threat: str
    reference: str
    rows: list[Row]


def collect(results: Path, *, dataset: str | None, threat: str | None, against: str | None) -> list[Board]:
    """All boards below `results`.

    Raises:
        UserError: No record fits, or `against` names no defense of any board.
    """
    records = [
        record
        for record in map(read_record, record_paths(results))
        if record.lines and _wanted(record, dataset, threat)
    ]
    if not records:
        raise UserError(
            f"expected finished runs below {results}, got none that fit; make one: bench run --defense dpsam --attack pgd-full"
        )
    boards: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        spec = record.header["spec"]
        boards[spec["dataset"]["name"], spec["threat"], canonical([spec["classifier"], spec["dataset"]])].append(record)
    if against and against not in {record.header["labels"]["defense"] for record in records}:
        names = sorted({record.header["labels"]["defense"] for record in records})
        raise UserError(
            f"expected --against to name a defense of the table ({', '.join(names)}), got {against!r}; copy its name"
        )
    return [
        _board(name, level, group, against)
        for (name, level, _), group in sorted(boards.items(), key=lambda item: item[0][:2])
    ]


def as_json(boards: Iterable[Board]) -> str:
    """All rows as one JSON list."""
    return json.dumps([asdict(row) for board in boards for row in board.rows], indent=1)


def _wanted(record: Record, dataset: str | None, threat: str | None) -> bool:
    spec = record.header["spec"]
    return dataset in (None, spec["dataset"]["name"]) and threat in (None, spec["threat"])


def _board(dataset: str, threat: str, records: list[Record], against: str | None) -> Board:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        spec = record.header["spec"]
        groups[canonical([spec["defense"], spec["score_model"], spec["draws"], spec["seed"]])].append(record)
    worst = {key: _worst_case(group) for key, group in groups.items()}
    ranked = sorted(groups, key=lambda key: (-float(np.mean(list(worst[key].values()))), key))
    labels = {key: groups[key][0].header["labels"]["defense"] for key in groups}
    reference = next((key for key in ranked if labels[key] == against), ranked[0])
    others = [key for key in ranked if key != reference]
    tests = dict(zip(others, holm([_paired(worst[key], worst[reference]) for key in others]), strict=True))
    rows = [
        _row(record, groups[key], worst[key], tests.get(key))
        for key in ranked
        for record in _strongest_first(groups[key])
    ]
    return Board(dataset, threat, labels[reference], rows)


def _row(record: Record, group: list[Record], worst: dict[int, float], p: float | None) -> Row:
    spec, labels = record.header["spec"], record.header["labels"]
    return Row(
        defense=labels["defense"], attack=labels["attack"], dataset=spec["dataset"]["name"], threat=spec["threat"],
        n=len(record.lines), clean=mean_share(shares(record.lines, CLEAN)), robust=mean_share(shares(record.lines)),
        worst_case=mean_share(np.array(list(worst.values()))), believed=None, flags=_flags(record),
        run_ids=[record.run_id, *(other.run_id for other in group if other is not record)], paired_p=p,
        certified=certified_radius(record.lines),
    )  # fmt: skip


def _worst_case(group: list[Record]) -> dict[int, float]:
    """The smallest share of right draws over attacks, for each image that all of them have."""
    columns = [dict(zip((line.id for line in record.lines), shares(record.lines), strict=True)) for record in group]
    common = [sample for sample in columns[0] if all(sample in column for column in columns)]
    return {sample: float(min(column[sample] for column in columns)) for sample in common}


def _paired(a: dict[int, float], b: dict[int, float]) -> float:
    common = [sample for sample in a if sample in b]
    return (
        paired_p(np.array([a[sample] for sample in common]), np.array([b[sample] for sample in common]))
        if common
        else 1.0
    )


def _strongest_first(group: list[Record]) -> list[Record]:
    return sorted(group, key=lambda record: (float(shares(record.lines).mean()), record.header["labels"]["attack"]))


def _flags(record: Record) -> list[str]:
    checks, spec = record.header["checks"], record.header["spec"]
    error: Any = checks.get("gradient_error")
    known = {
        "partial": not record.sealed,
        "small n": len(record.lines) < MANY,
        "gradient not exact": error is not None and error > EXACT,
        "inexact gradient mode": spec["attack"]["gradient"] != "full",
    }
    return [flag for flag, holds in known.items() if holds]
