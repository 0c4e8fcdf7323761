"""Rows of other leaderboards, as `bench import` stored them: shown for reference, never ranked."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError

FOLDER = "imported"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """One row of another leaderboard, as published.

    Arguments:
        name: Name of the defense.
        source: Name of the leaderboard.
        clean: Clean accuracy, in [0, 1]; None if there is none.
        robust: Robust accuracy by the protocol of the source, in [0, 1].
        link: The paper.
        unreliable: Whether the source marks it as unreliable.
        note: Footnote of the source.
    """

    name: str
    source: str
    clean: float | None
    robust: float
    link: str
    unreliable: bool
    note: str


def read_imported(
    results: Path, *, dataset: str | None = None, threat: str | None = None
) -> dict[tuple[str, str], list[Imported]]:
    """Imported rows by data set and threat, best first.

    Raises:
        UserError: A file is damaged.
    """
    rows: dict[tuple[str, str], list[Imported]] = defaultdict(list)
    for file in sorted(results.glob(f"*/*/{FOLDER}/*.json")):
        try:
            content = json.loads(file.read_bytes())
            key = content.pop("dataset"), content.pop("threat")
            row = Imported(**content)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError("import-row-damaged", file=file, error=error) from error
        if dataset in (None, key[0]) and threat in (None, key[1]):
            rows[key].append(row)
    return {key: sorted(group, key=lambda row: -row.robust) for key, group in rows.items()}
