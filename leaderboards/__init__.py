"""Records to tables."""

from __future__ import annotations

from pathlib import Path

FORMATS = ("md", "json")


def render(
    results: Path, output: str, *, dataset: str | None = None, threat: str | None = None, against: str | None = None
) -> str:
    """The leaderboard of all records below `results` as text in one of `FORMATS`.

    Raises:
        UserError: There are no records, or none of the defense to test against.
    """
    from leaderboards.markdown import as_markdown
    from leaderboards.rows import as_json, collect

    boards = collect(results, dataset=dataset, threat=threat, against=against)
    return as_markdown(boards) if output == "md" else as_json(boards)
