"""Boards: the rows of one data set and threat, ranked, and apart from them those that cannot be ranked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.figures.aggregate import common_ids
from bench.figures.runs import Run, read_run, read_runs
from bench.records.spec import UNDEFENDED
from bench.stats.intervals import mean_difference, mean_share
from bench.stats.paired import holm, paired_p
from bench.stats.ranks import positions, rank_intervals
from leaderboards.assembly import rows_of
from leaderboards.classes import REQUIRED
from leaderboards.imported import Imported, read_imported
from leaderboards.rows import Row


@dataclass(frozen=True, kw_only=True)
class Board:
    """All rows of one data set and threat.

    Arguments:
        dataset: Name of the data set.
        content: Content hash of the data set; empty if no run is shown.
        threat: Threat model.
        required: Classes of attacks that a row needs to be ranked.
        reference: The defense that the paired tests compare with; None if no row is ranked and none was named.
        rows: The ranked rows, highest worst-case accuracy first.
        incomplete: The rows that have not faced all required classes, in the same order.
        imported: Rows of other leaderboards, never ranked.
    """

    dataset: str
    content: str
    threat: str
    required: tuple[str, ...]
    reference: str | None
    rows: list[Row]
    incomplete: list[Row]
    imported: list[Imported]

    @property
    def n(self) -> tuple[int, int]:
        """The fewest and the most images of its ranked rows; of all rows if none is ranked, 0 if there is none."""
        counts = [row.n for row in self.rows or self.incomplete]
        return min(counts, default=0), max(counts, default=0)

    @property
    def requirement(self) -> str:
        """What decides its figures: `required: full gradient; n = 100 to 250`."""
        low, high = self.n
        images = f"n = {low}" if low == high else f"n = {low} to {high}"
        return f"required: {', '.join(self.required)}; {images}"

    @property
    def title(self) -> str:
        """The data set, the threat and the requirement: two boards of the same records that differ have different titles."""
        return f"{self.dataset}, {self.threat} ({self.requirement})"

    @property
    def every(self) -> list[Row]:
        """The ranked rows, then the others."""
        return [*self.rows, *self.incomplete]


def only_one(boards: Sequence[Board], purpose: str = "") -> Board:
    """The board, if it is the only one.

    Raises:
        UserError: There are several.
    """
    if len(boards) > 1:
        names = "; ".join(f"{board.dataset}, {board.threat}" for board in boards)
        raise UserError("board-several", purpose=purpose and f" {purpose}", count=len(boards), names=names)
    return boards[0]


def collect(
    results: Path | Sequence[Path],
    *,
    dataset: str | None = None,
    threat: str | None = None,
    against: str | None = None,
    required: Sequence[str] = REQUIRED,
) -> list[Board]:
    """All boards below `results`.

    Arguments:
        results: Folder of all records, or of one, or several; a run in two of them counts once, with the larger number of images.
        dataset: Only this data set.
        threat: Only this threat.
        against: The defense to test the others against, by its name in the table; None for the first row.
        required: Classes of attacks that a row needs to be ranked, among `REQUIRED`.

    Raises:
        UserError: No record matches, or a name is not on the boards.
    """
    unknown = [kind for kind in required if kind not in REQUIRED]
    if unknown:
        raise UserError("board-class-unknown", classes=REQUIRED, got=unknown[0])
    folders = [results] if isinstance(results, Path) else list(results)
    runs = [run for folder in folders for run in _runs(folder)]
    groups = _groups(runs, dataset, threat)
    imports: dict[tuple[str, str], list[Imported]] = defaultdict(list)
    for folder in folders:
        for key, rows in read_imported(folder, dataset=dataset, threat=threat).items():
            imports[key] += rows
    if not groups and not imports:
        raise UserError("board-empty", folders=", ".join(map(str, folders)))
    names = sorted({run.header.labels.defense for group in groups.values() for run in group})
    if against and against not in names:
        raise UserError("board-defense-unknown", names=names, against=against)
    keys = sorted({(name, level, "") for name, level in imports} | groups.keys())
    shown = [key for key in keys if key[2] or not any(other[:2] == key[:2] and other[2] for other in keys)]
    return [_board(key, groups.get(key, []), imports.get(key[:2], []), required, against) for key in shown]


def boards_of(runs: Iterable[Run], *, required: Sequence[str] = REQUIRED, against: str | None = None) -> list[Board]:
    """All boards of some runs; a run that is given twice counts once, with the larger number of images.

    Arguments:
        runs: Runs with at least one image.
        required: Classes of attacks that a row needs to be ranked, among `REQUIRED`.
        against: The defense to test the others against, by its name in the table; None for the first row.
    """
    groups = _groups(runs, None, None)
    return [_board(key, groups[key], [], required, against) for key in sorted(groups)]


def _groups(runs: Iterable[Run], dataset: str | None, threat: str | None) -> dict[tuple[str, str, str], list[Run]]:
    """The runs, grouped by name of the data set, threat, and content hash of the data set."""
    groups: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
    longest: dict[str, Run] = {}
    for run in runs:
        longest[run.run_id] = max(run, longest.get(run.run_id, run), key=len)
    for run in longest.values():
        name, level = run.spec.dataset.name, run.spec.threat
        if dataset in (None, name) and threat in (None, level):
            groups[name, level, str(run.spec.dataset.sha256)].append(run)
    return groups


def _runs(folder: Path) -> Iterable[Run]:
    """The runs below a folder, or the one that lies in it."""
    return [read_run(folder)] if (folder / "run.json").exists() else read_runs(folder)


def _distinct(rows: Sequence[Row]) -> list[Row]:
    """Adds the content hash to rows of the same name but different code, as after an edit of the defense's file."""
    contents: dict[tuple[str, str, str | None], set[str | None]] = defaultdict(set)
    for row in rows:
        contents[row.defense, row.classifier, row.score_model].add(row.content)
    return [
        replace(row, defense=f"{row.defense} @{row.content[:8]}")
        if row.content and len(contents[row.defense, row.classifier, row.score_model]) > 1
        else row
        for row in rows
    ]


def _board(
    key: tuple[str, str, str], runs: list[Run], imported: list[Imported], required: Sequence[str], against: str | None
) -> Board:
    required = tuple(kind for kind in REQUIRED if kind in required)
    rows = _beside_undefended(sorted(_distinct(rows_of(runs, required)), key=_order))
    complete, incomplete = _ranked([row for row in rows if not row.missing]), [row for row in rows if row.missing]
    reference = next((row for row in [*complete, *incomplete] if row.defense == against), None) or next(
        iter(complete), None
    )
    complete, incomplete = _tested([*complete, *incomplete], reference, len(complete))
    name = reference.defense if reference else None
    return Board(
        dataset=key[0],
        content=key[2],
        threat=key[1],
        required=required,
        reference=name,
        rows=complete,
        incomplete=incomplete,
        imported=imported,
    )


def _beside_undefended(rows: list[Row]) -> list[Row]:
    """Adds to every row its difference from the undefended classifier of the same name, on the images of both."""
    undefended = {row.classifier: row for row in rows if row.defense == UNDEFENDED}
    return [_beside(row, undefended.get(row.classifier)) for row in rows]


def _beside(row: Row, undefended: Row | None) -> Row:
    if undefended is None or row is undefended:
        return row
    mine, theirs = _common(row, undefended)
    return replace(row, delta_undefended=mean_difference(mine, theirs)) if len(mine) else row


def _order(row: Row) -> tuple[Any, ...]:
    return -row.worst_case.value, row.defense, row.classifier, row.draws


def _ranked(rows: list[Row]) -> list[Row]:
    """Adds to sorted rows their positions, and the ranks that paired tests on common images leave open."""
    if not rows:
        return []
    places = positions([row.worst_case.value for row in rows])
    ids = np.unique(np.concatenate([row.shares.ids for row in rows]))
    ends = rank_intervals(np.array([row.shares.on(ids) for row in rows]))
    return [
        # rows of other images are tested on fewer of them, so that a row's own place can lie outside
        replace(row, rank=place, rank_low=min(low, place), rank_high=max(high, place))
        for row, place, (low, high) in zip(_on_shared(rows), places, ends, strict=True)
    ]


def _on_shared(rows: list[Row]) -> list[Row]:
    """Adds the worst case on the images that all rows have, if some rows have more."""
    ids = common_ids([row.shares for row in rows])
    if not len(ids) or all(row.n == len(ids) for row in rows):
        return rows
    return [replace(row, shared=mean_share(row.shares.on(ids))) for row in rows]


def _tested(rows: list[Row], reference: Row | None, complete: int) -> tuple[list[Row], list[Row]]:
    """Adds the paired p-values against the reference, Holm-corrected over all rows of the board."""
    if reference is None:
        return rows[:complete], rows[complete:]
    others = [place for place, row in enumerate(rows) if row is not reference]
    pairs = [_common(rows[place], reference) for place in others]
    corrected = holm([paired_p(mine, theirs) for mine, theirs in pairs])
    for place, (mine, _), p in zip(others, pairs, corrected, strict=True):
        rows[place] = replace(rows[place], paired_p=p, paired_n=len(mine))
    return rows[:complete], rows[complete:]


def _common(row: Row, other: Row) -> tuple[np.ndarray, np.ndarray]:
    """The worst cases of two rows on the images of both."""
    theirs = other.shares.on(row.shares.ids)
    both = ~np.isnan(theirs)
    return row.shares.shares[both], theirs[both]
