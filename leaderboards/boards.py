"""Boards: the rows of one data set and threat, ranked, and apart from them those that cannot be ranked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.figures.runs import Run, read_run, read_runs
from bench.records.spec import UNDEFENDED
from bench.stats.intervals import mean_difference
from bench.stats.paired import holm, paired_p, ranks
from leaderboards.classes import REQUIRED
from leaderboards.imported import Imported, read_imported
from leaderboards.rows import Row, rows_of


@dataclass(frozen=True, kw_only=True)
class Board:
    """All rows of one data set and threat.

    Arguments:
        dataset: Name of the data set.
        threat: Threat model.
        required: Classes of attacks that a row needs to be ranked.
        reference: The defense that the paired tests compare with; None if no row is ranked and none was named.
        rows: The ranked rows, highest worst-case accuracy first.
        incomplete: The rows that have not faced all required classes, in the same order.
        imported: Rows of other leaderboards, never ranked.
    """

    dataset: str
    threat: str
    required: tuple[str, ...]
    reference: str | None
    rows: list[Row]
    incomplete: list[Row]
    imported: list[Imported]

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
        raise UserError("board-required", classes=REQUIRED, unknown=unknown[0])
    folders = [results] if isinstance(results, Path) else list(results)
    groups = _groups(folders, dataset, threat)
    imports: dict[tuple[str, str], list[Imported]] = defaultdict(list)
    for folder in folders:
        for key, rows in read_imported(folder, dataset=dataset, threat=threat).items():
            imports[key] += rows
    if not groups and not imports:
        raise UserError("board-empty", folders=", ".join(map(str, folders)))
    names = sorted({run.header.labels.defense for runs in groups.values() for run in runs})
    if against and against not in names:
        raise UserError("board-against", names=names, against=against)
    order = tuple(kind for kind in REQUIRED if kind in required)
    keys = sorted({(name, level, "") for name, level in imports} | groups.keys())
    shown = [key for key in keys if key[2] or not any(other[:2] == key[:2] and other[2] for other in keys)]
    return [_board(key, groups.get(key, []), imports.get(key[:2], []), order, against) for key in shown]


def _groups(folders: Sequence[Path], dataset: str | None, threat: str | None) -> dict[tuple[str, str, str], list[Run]]:
    """The runs, grouped by name of the data set, threat, and content hash of the data set."""
    groups: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
    longest: dict[str, Run] = {}
    for run in (run for folder in folders for run in _runs(folder)):
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
    key: tuple[str, str, str], runs: list[Run], imported: list[Imported], required: tuple[str, ...], against: str | None
) -> Board:
    rows = _beside_undefended(
        sorted(_distinct(rows_of(runs, required)), key=lambda row: (-row.worst_case.value, row.defense, row.classifier))
    )
    complete, incomplete = [row for row in rows if not row.missing], [row for row in rows if row.missing]
    complete = sorted(_ranked(complete), key=lambda row: (row.rank or 0, -row.worst_case.value, row.defense))
    reference = next((row for row in [*complete, *incomplete] if row.defense == against), None) or next(
        iter(complete), None
    )
    complete, incomplete = _tested([*complete, *incomplete], reference, len(complete))
    name = reference.defense if reference else None
    return Board(
        dataset=key[0],
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
    theirs = undefended.shares.on(row.shares.ids)
    both = ~np.isnan(theirs)
    return replace(row, delta_undefended=mean_difference(row.shares.shares[both], theirs[both])) if both.any() else row


def _ranked(rows: list[Row]) -> list[Row]:
    if not rows:
        return []
    ids = np.unique(np.concatenate([row.shares.ids for row in rows]))
    places = ranks(np.array([row.shares.on(ids) for row in rows]))
    return [replace(row, rank=place) for row, place in zip(rows, places, strict=True)]


def _tested(rows: list[Row], reference: Row | None, complete: int) -> tuple[list[Row], list[Row]]:
    """Adds the paired p-values against the reference, Holm-corrected over all rows of the board."""
    if reference is None:
        return rows[:complete], rows[complete:]
    others = [place for place, row in enumerate(rows) if row is not reference]
    corrected = holm([_paired(rows[place], reference) for place in others])
    for place, p in zip(others, corrected, strict=True):
        rows[place] = replace(rows[place], paired_p=p)
    return rows[:complete], rows[complete:]


def _paired(row: Row, reference: Row) -> float:
    theirs = reference.shares.on(row.shares.ids)
    both = ~np.isnan(theirs)
    return paired_p(row.shares.shares[both], theirs[both])
